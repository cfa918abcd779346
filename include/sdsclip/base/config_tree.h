#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sdsclip {

/// A YAML or JSON document before it is bound to an option struct: kinds are kept apart (3.7 is no integer, 1
/// is no boolean), fields keep their order, and every node knows where it was written.
struct ConfigNode {
  enum class Kind { kNull, kBoolean, kInteger, kNumber, kText, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;                                        ///< of a scalar, as written
  std::vector<ConfigNode> items;                           ///< of a list
  std::vector<std::pair<std::string, ConfigNode>> fields;  ///< of a map; names are unique
  std::string origin;                                      ///< "vitb16.yaml:12", or "--set"

  [[nodiscard]] const ConfigNode* find(std::string_view name) const;  ///< null where there is no such field
};

/// "an integer", "a list": for error messages.
std::string_view describe(ConfigNode::Kind kind);

/// Throw `Error` that names file and line on text that does not parse and on a field named twice.
/// `code_input` documents (bundles, data) are bad input (3); configuration is wrong configuration (2).
enum class DocumentRole { kConfiguration, kInput };
ConfigNode parse_yaml(std::string_view text, const std::string& name,
                      DocumentRole role = DocumentRole::kConfiguration);
ConfigNode parse_json(std::string_view text, const std::string& name,
                      DocumentRole role = DocumentRole::kInput);

/// Reads a YAML configuration. A top-level `include: FILE` (or a list of them, relative to the file) is read
/// first and overlaid by what the file itself says. Throws `Error(kUsage)`, also where files include each
/// other in a circle.
ConfigNode read_configuration(const std::filesystem::path& path);

/// Overlays `over` on `base`: maps are merged field by field, everything else is replaced.
void overlay(ConfigNode& base, const ConfigNode& over);

/// Applies one `--set key.path=value`; the value is read as YAML. Throws `Error(kUsage)` on another form.
void apply_setting(ConfigNode& root, std::string_view setting);

}  // namespace sdsclip

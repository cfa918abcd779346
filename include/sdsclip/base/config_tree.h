#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// A parsed YAML or JSON document, before it is bound to an option struct. Kinds are kept apart (3.7 is not
/// an integer, 1 is not a boolean), fields keep their order, and every node knows its place in the file.
struct ConfigNode {
  enum class Kind { kNull, kBoolean, kInteger, kNumber, kText, kList, kMap };

  Kind kind = Kind::kNull;
  std::string name;                ///< of a field of a map
  std::string text;                ///< a scalar's text, as written
  std::vector<ConfigNode> items;   ///< a list's items
  std::vector<ConfigNode> fields;  ///< a map's fields; names are unique
  std::string origin;              ///< "vitb16.yaml:12", or "--set"

  [[nodiscard]] const ConfigNode* find(std::string_view name) const;  ///< null if there is no such field
  /// Removes the field and returns it; null if there is no such field.
  ConfigNode take(std::string_view name);
};

/// The kind as error messages name it: "an integer", "a list".
std::string_view describe(ConfigNode::Kind kind);

/// Who wrote a document, which decides the exit code of its errors: `kConfiguration` gives `kUsage` (2),
/// `kInput` (bundles, data) gives `kInput` (3). Both parsers throw an `Error` that names file and line if the
/// text does not parse or names a field twice.
enum class DocumentRole { kConfiguration, kInput };
ConfigNode parse_yaml(std::string_view text, const std::string& name,
                      DocumentRole role = DocumentRole::kConfiguration);
ConfigNode parse_json(std::string_view text, const std::string& name,
                      DocumentRole role = DocumentRole::kInput);

/// Reads a YAML configuration. A top-level `include: FILE` (or a list of files, relative to this one) is read
/// first; the file's own values override it. Throws `Error(kUsage)` if a file cannot be read or parsed, or if
/// files include each other in a circle.
ConfigNode read_configuration(const fs::path& path);

/// Overlays `over` on `base`: maps are merged field by field, everything else is replaced.
void overlay(ConfigNode& base, const ConfigNode& over);

/// Applies one `--set key.path=value`; the value is read as YAML. Throws `Error(kUsage)` if `setting` has
/// another form.
void apply_setting(ConfigNode& root, std::string_view setting, std::string_view flag = "--set");

}  // namespace sdsclip

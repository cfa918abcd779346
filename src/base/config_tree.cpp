#include "sdsclip/base/config_tree.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

using Kind = ConfigNode::Kind;

// Configurations are written by hand, so these limits are far above what one needs. They stop aliases of
// aliases (461 bytes can expand to 10^9 nodes) and files that include each other many times over.
constexpr int kDeepestNesting = 64;
constexpr std::int64_t kMostNodes = 20'000;
constexpr std::int64_t kMostIncludes = 100;
constexpr std::uint64_t kMostConfigurationBytes = 1 << 20;

Error document_error(DocumentRole role, const std::string& message) {
  return Error(role == DocumentRole::kConfiguration ? ExitCode::kUsage : ExitCode::kInput, message);
}

bool is_integer(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text == ".inf" || text == "-.inf" || text == ".nan") return true;
  if (text.find_first_of("0123456789") == std::string_view::npos) return false;
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return end == text.data() + text.size() && failure != std::errc::invalid_argument;
}

/// The kind of a scalar without quotes (YAML 1.2, core schema).
Kind plain_kind(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Kind::kNull;
  for (const std::string_view word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
    if (text == word) return Kind::kBoolean;
  }
  if (is_integer(text)) return Kind::kInteger;
  return is_number(text) ? Kind::kNumber : Kind::kText;
}

/// Turns yaml-cpp's nodes into ours. An alias is expanded at each use.
class YamlReader {
 public:
  YamlReader(const std::string& name, DocumentRole role) : name_(name), role_(role) {}

  ConfigNode read(const YAML::Node& node, int depth = 0) {
    ConfigNode result;
    result.origin = name_.starts_with("--") ? name_ : fmt::format("{}:{}", name_, node.Mark().line + 1);
    if (depth > kDeepestNesting)
      throw error(result, fmt::format("nested more than {} levels deep", kDeepestNesting));
    if (++nodes_ > kMostNodes) {
      throw error(result, fmt::format("more than {} values, aliases written out", kMostNodes));
    }
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        break;
      case YAML::NodeType::Scalar:
        result.text = node.Scalar();
        result.kind = node.Tag() == "!" ? Kind::kText : plain_kind(result.text);
        break;
      case YAML::NodeType::Sequence:
        result.kind = Kind::kList;
        for (const YAML::Node& item : node) result.items.push_back(read(item, depth + 1));
        break;
      case YAML::NodeType::Map:
        result.kind = Kind::kMap;
        read_fields(node, depth, result);
        break;
    }
    return result;
  }

 private:
  void read_fields(const YAML::Node& node, int depth, ConfigNode& map) {
    std::unordered_set<std::string> names;
    for (const std::pair<YAML::Node, YAML::Node>& field : node) {
      if (!field.first.IsScalar()) throw error(map, "got a key that is not plain text");
      const std::string& name = field.first.Scalar();
      ConfigNode value = read(field.second, depth + 1);
      if (!names.insert(name).second) {
        throw error(value,
                    fmt::format("'{}' is given twice (first at {}); keep one", name, map.find(name)->origin));
      }
      value.name = name;
      map.fields.push_back(std::move(value));
    }
  }

  [[nodiscard]] Error error(const ConfigNode& at, const std::string& what) const {
    return document_error(role_, fmt::format("{}: {}", at.origin, what));
  }

  const std::string& name_;
  DocumentRole role_;
  std::int64_t nodes_ = 0;
};

/// `line` points to the line number of the next value.
ConfigNode from_json(ordered_json& value, const std::string& name, const std::int64_t*& line) {
  ConfigNode node;
  node.origin = fmt::format("{}:{}", name, *line++);
  if (value.is_object()) {
    node.kind = Kind::kMap;
    for (auto& [key, field] : value.get_ref<ordered_json::object_t&>()) {
      node.fields.push_back(from_json(field, name, line));
      node.fields.back().name = key;
    }
  } else if (value.is_array()) {
    node.kind = Kind::kList;
    for (ordered_json& item : value) node.items.push_back(from_json(item, name, line));
  } else if (value.is_string()) {
    node.kind = Kind::kText;
    node.text = std::move(value.get_ref<std::string&>());
  } else if (!value.is_null()) {
    node.kind = value.is_boolean()        ? Kind::kBoolean
                : value.is_number_float() ? Kind::kNumber
                                          : Kind::kInteger;
    node.text = value.dump();
  }
  return node;
}

/// The line of a `---` that starts a second document; 0 if there is none. YAML::Load silently reads only the
/// first document, and YAML::LoadAll never ends on some damaged texts.
std::int64_t second_document(std::string_view text) {
  bool has_content = false;
  for (std::int64_t line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    const bool is_marker = row.starts_with("---") && (row.size() == 3 || row[3] == ' ' || row[3] == '\r');
    if (is_marker && has_content) return line;
    const std::size_t first = row.find_first_not_of(" \t\r", is_marker ? 3 : 0);
    has_content = has_content || (first != std::string_view::npos && row[first] != '#' && row[first] != '%');
  }
  return 0;
}

/// Reads a configuration and the files that it includes.
class ConfigurationReader {
 public:
  ConfigNode read(const fs::path& path) {
    std::error_code ignored;
    const fs::path canonical = fs::weakly_canonical(path, ignored);
    if (std::find(open_.begin(), open_.end(), canonical) != open_.end()) {
      throw usage_error("{}: includes itself through {}", path.string(), open_.back().string());
    }
    if (++files_ > kMostIncludes) {
      throw usage_error("{}: includes more than {} files in total", path.string(), kMostIncludes);
    }
    open_.push_back(canonical);
    ConfigNode own = parse_yaml(text_of(path), path.string());
    if (own.kind != Kind::kMap && own.kind != Kind::kNull) {
      throw usage_error("{}: got {}, expected a map of options", own.origin, describe(own.kind));
    }
    ConfigNode result;
    result.kind = Kind::kMap;
    result.origin = own.origin;
    for (const ConfigNode& file : take_includes(own)) overlay(result, read(path.parent_path() / file.text));
    overlay(result, own);
    open_.pop_back();
    return result;
  }

 private:
  [[nodiscard]] std::string text_of(const fs::path& path) const {
    try {
      return read_file(path, kMostConfigurationBytes);
    } catch (const Error& error) {
      const bool included = open_.size() > 1;
      throw usage_error("{}{}", error.what(),
                        included ? fmt::format(" (included by {})", open_[open_.size() - 2].string()) : "");
    }
  }

  /// Removes `include` from the map and returns its value: one file name or a list of them.
  static std::vector<ConfigNode> take_includes(ConfigNode& map) {
    if (map.find("include") == nullptr) return {};
    const ConfigNode named = map.take("include");
    std::vector<ConfigNode> files = named.kind == Kind::kList ? named.items : std::vector<ConfigNode>{named};
    for (const ConfigNode& file : files) {
      if (file.kind != Kind::kText) {
        throw usage_error("{}: include: got {}, expected a file's name", file.origin, describe(file.kind));
      }
    }
    return files;
  }

  std::vector<fs::path> open_;  // the current file and the files that include it
  std::int64_t files_ = 0;
};

}  // namespace

const ConfigNode* ConfigNode::find(std::string_view field) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [field](const ConfigNode& each) { return each.name == field; });
  return found == fields.end() ? nullptr : &*found;
}

ConfigNode ConfigNode::take(std::string_view field) {
  const ConfigNode* found = find(field);
  if (found == nullptr) return {};
  const auto place = fields.begin() + (found - fields.data());
  ConfigNode taken = std::move(*place);
  fields.erase(place);
  return taken;
}

std::string_view describe(Kind kind) {
  constexpr std::array<std::string_view, 7> kNames = {"nothing", "a boolean", "an integer", "a number",
                                                      "text",    "a list",    "a map"};
  return kNames[static_cast<std::size_t>(kind)];
}

ConfigNode parse_yaml(std::string_view text, const std::string& name, DocumentRole role) {
  if (const std::int64_t line = second_document(text); line > 0) {
    throw document_error(role,
                         fmt::format("{}:{}: begins a second YAML document, expected one; remove the line "
                                     "'---' and what follows it",
                                     name, line));
  }
  try {
    return YamlReader(name, role).read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& failure) {
    throw document_error(role, fmt::format("{}:{}: not YAML: {}", name, failure.mark.line + 1, failure.msg));
  }
}

ConfigNode parse_json(std::string_view text, const std::string& name, DocumentRole role) {
  const ExitCode on_error = role == DocumentRole::kConfiguration ? ExitCode::kUsage : ExitCode::kInput;
  JsonDocument document = parse_json_lines(text, name, on_error);
  const std::int64_t* line = document.lines.data();
  return from_json(document.root, name, line);
}

ConfigNode read_configuration(const fs::path& path) {
  return ConfigurationReader().read(path);
}

void overlay(ConfigNode& base, const ConfigNode& over) {
  if (over.kind == Kind::kNull && base.kind == Kind::kMap)
    return;  // an empty file or section changes nothing
  if (base.kind != Kind::kMap || over.kind != Kind::kMap) {
    base = over;
    return;
  }
  for (const ConfigNode& field : over.fields) {
    const auto same = std::find_if(base.fields.begin(), base.fields.end(),
                                   [&](const ConfigNode& other) { return other.name == field.name; });
    if (same == base.fields.end()) {
      base.fields.push_back(field);
    } else {
      overlay(*same, field);
    }
  }
}

void apply_setting(ConfigNode& root, std::string_view setting, std::string_view flag) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw usage_error("{}: got '{}', expected key=value, such as sds.lambda=0.001", flag, setting);
  }
  const std::vector<std::string> keys = split(setting.substr(0, equals), '.');
  ConfigNode node = parse_yaml(setting.substr(equals + 1), fmt::format("{} {}", flag, setting));
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    ConfigNode parent;
    parent.kind = Kind::kMap;
    parent.origin = node.origin;
    node.name = *key;
    parent.fields.push_back(std::move(node));
    node = std::move(parent);
  }
  overlay(root, node);
}

}  // namespace sdsclip

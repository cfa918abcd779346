#include "sdsclip/base/config_tree.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Kind = ConfigNode::Kind;

constexpr int kDeepestNesting = 64;

Error document_error(DocumentRole role, const std::string& message) {
  return Error(role == DocumentRole::kConfiguration ? ExitCode::kUsage : ExitCode::kInput, message);
}

void add_field(ConfigNode& map, const std::string& name, ConfigNode value, DocumentRole role) {
  if (map.find(name) != nullptr) {
    throw document_error(role, fmt::format("{}: '{}' is given twice (first at {}); keep one", value.origin,
                                           name, map.find(name)->origin));
  }
  map.fields.emplace_back(name, std::move(value));
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

ConfigNode from_yaml(const YAML::Node& node, const std::string& name, DocumentRole role, int depth) {
  ConfigNode result;
  result.origin = name.starts_with("--") ? name : fmt::format("{}:{}", name, node.Mark().line + 1);
  if (depth > kDeepestNesting) {
    throw document_error(role, fmt::format("{}: nested more than {} deep", result.origin, kDeepestNesting));
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
      for (const YAML::Node& item : node) result.items.push_back(from_yaml(item, name, role, depth + 1));
      break;
    case YAML::NodeType::Map:
      result.kind = Kind::kMap;
      for (const std::pair<YAML::Node, YAML::Node>& field : node) {
        if (!field.first.IsScalar()) {
          throw document_error(role, fmt::format("{}: got a key that is not plain text", result.origin));
        }
        add_field(result, field.first.Scalar(), from_yaml(field.second, name, role, depth + 1), role);
      }
      break;
  }
  return result;
}

/// Hands the parser one character after another and counts lines, which the JSON library does not report.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* position, const char** seen) : position_(position), seen_(seen) {}
  reference operator*() const { return *position_; }
  CountingIterator& operator++() {
    ++position_;
    if (seen_ != nullptr) *seen_ = position_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return position_ == other.position_; }
  bool operator!=(const CountingIterator& other) const { return position_ != other.position_; }

 private:
  const char* position_;
  const char** seen_;
};

/// Builds the tree from the parser's events.
class JsonTreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonTreeBuilder(std::string_view text, const std::string& name, DocumentRole role, const char** seen)
      : text_(text), name_(name), role_(role), seen_(seen), counted_(text.data()) {}

  ConfigNode take() { return std::move(root_); }

  bool null() override { return add(Kind::kNull, ""); }
  bool boolean(bool value) override { return add(Kind::kBoolean, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return add(Kind::kInteger, fmt::format("{}", value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add(Kind::kInteger, fmt::format("{}", value));
  }
  bool number_float(number_float_t, const string_t& value) override { return add(Kind::kNumber, value); }
  bool string(string_t& value) override { return add(Kind::kText, value); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Kind::kMap); }
  bool start_array(std::size_t) override { return open(Kind::kList); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    keys_.back() = value;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& failure) override {
    throw document_error(role_, fmt::format("{}: not JSON: {}", origin(), failure.what()));
  }

 private:
  std::string origin() {
    // The parser may have looked one character ahead; a line break there belongs to the next line.
    const char* end = std::max(counted_, *seen_ - 1);
    line_ += std::count(counted_, end, '\n');
    counted_ = end;
    return fmt::format("{}:{}", name_, line_);
  }

  bool add(Kind kind, std::string value) {
    ConfigNode node;
    node.kind = kind;
    node.text = std::move(value);
    node.origin = origin();
    place(std::move(node));
    return true;
  }

  bool open(Kind kind) {
    if (open_.size() >= static_cast<std::size_t>(kDeepestNesting)) {
      throw document_error(role_, fmt::format("{}: nested more than {} deep", origin(), kDeepestNesting));
    }
    ConfigNode node;
    node.kind = kind;
    node.origin = origin();
    open_.push_back(std::move(node));
    keys_.emplace_back();
    return true;
  }

  bool close() {
    ConfigNode node = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    place(std::move(node));
    return true;
  }

  void place(ConfigNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().kind == Kind::kList) {
      open_.back().items.push_back(std::move(node));
    } else {
      add_field(open_.back(), keys_.back(), std::move(node), role_);
    }
  }

  std::string_view text_;
  std::string name_;
  DocumentRole role_;
  const char** seen_;
  const char* counted_;
  std::ptrdiff_t line_ = 1;
  ConfigNode root_;
  std::vector<ConfigNode> open_;
  std::vector<std::string> keys_;
};

ConfigNode read_with_includes(const fs::path& path, std::vector<fs::path>& open) {
  std::error_code ignored;
  const fs::path canonical = fs::weakly_canonical(path, ignored);
  if (std::find(open.begin(), open.end(), canonical) != open.end()) {
    throw usage_error("{}: includes itself through {}", path.string(), open.back().string());
  }
  open.push_back(canonical);
  std::string text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    throw usage_error("{}", error.what());
  }
  ConfigNode own = parse_yaml(text, path.string());
  ConfigNode result;
  result.kind = Kind::kMap;
  result.origin = own.origin;
  if (own.kind == Kind::kMap) {
    const auto include = std::find_if(own.fields.begin(), own.fields.end(),
                                      [](const auto& field) { return field.first == "include"; });
    if (include != own.fields.end()) {
      const ConfigNode named = include->second;
      own.fields.erase(include);
      const std::vector<ConfigNode> files =
          named.kind == Kind::kList ? named.items : std::vector<ConfigNode>{named};
      for (const ConfigNode& file : files) {
        if (file.kind != Kind::kText) {
          throw usage_error("{}: include: got {}, expected a file's name", file.origin, describe(file.kind));
        }
        overlay(result, read_with_includes(path.parent_path() / file.text, open));
      }
    }
  }
  overlay(result, own);
  open.pop_back();
  return result;
}

}  // namespace

const ConfigNode* ConfigNode::find(std::string_view name) const {
  for (const std::pair<std::string, ConfigNode>& field : fields) {
    if (field.first == name) return &field.second;
  }
  return nullptr;
}

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kBoolean:
      return "a boolean";
    case Kind::kInteger:
      return "an integer";
    case Kind::kNumber:
      return "a number";
    case Kind::kText:
      return "text";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      break;
  }
  return "a map";
}

ConfigNode parse_yaml(std::string_view text, const std::string& name, DocumentRole role) {
  try {
    return from_yaml(YAML::Load(std::string(text)), name, role, 0);
  } catch (const YAML::Exception& failure) {
    throw document_error(role, fmt::format("{}:{}: not YAML: {}", name, failure.mark.line + 1, failure.msg));
  }
}

ConfigNode parse_json(std::string_view text, const std::string& name, DocumentRole role) {
  const char* seen = text.data();
  JsonTreeBuilder builder(text, name, role, &seen);
  nlohmann::json::sax_parse(CountingIterator(text.data(), &seen),
                            CountingIterator(text.data() + text.size(), nullptr), &builder);
  return builder.take();
}

ConfigNode read_configuration(const fs::path& path) {
  std::vector<fs::path> open;
  return read_with_includes(path, open);
}

void overlay(ConfigNode& base, const ConfigNode& over) {
  if (over.kind == Kind::kNull && base.kind == Kind::kMap) return;  // an empty file or section says nothing
  if (base.kind != Kind::kMap || over.kind != Kind::kMap) {
    base = over;
    return;
  }
  for (const std::pair<std::string, ConfigNode>& field : over.fields) {
    const auto same = std::find_if(base.fields.begin(), base.fields.end(),
                                   [&](const auto& other) { return other.first == field.first; });
    if (same == base.fields.end()) {
      base.fields.push_back(field);
    } else {
      overlay(same->second, field.second);
    }
  }
}

void apply_setting(ConfigNode& root, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw usage_error("--set: got '{}', expected key=value, such as sds.lambda=0.001", setting);
  }
  const std::vector<std::string> keys = split(setting.substr(0, equals), '.');
  ConfigNode node = parse_yaml(setting.substr(equals + 1), fmt::format("--set {}", setting));
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    ConfigNode parent;
    parent.kind = Kind::kMap;
    parent.origin = node.origin;
    parent.fields.emplace_back(*key, std::move(node));
    node = std::move(parent);
  }
  overlay(root, node);
}

}  // namespace sdsclip

#include "sdsclip/base/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sdsclip/base/numbers.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

using Kind = ConfigNode::Kind;

constexpr std::string_view kAutoText = "auto";
constexpr std::string_view kFinite = "a finite number within a double's range";

bool is_number(const ConfigNode& node) {
  return node.kind == Kind::kInteger || node.kind == Kind::kNumber;
}

std::string yaml_quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\t':
        result += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          result += fmt::format("\\x{:02x}", c);
        } else {
          result += c;
        }
    }
  }
  return result + "\"";
}

template <typename Value, typename Format>
std::string flow_list(const std::vector<Value>& values, Format&& format) {
  std::vector<std::string> pieces;
  for (const Value& value : values) pieces.push_back(format(value));
  return fmt::format("[{}]", join(pieces, ", "));
}

std::string number_text(double value) {
  return fmt::format("{}", value);
}

}  // namespace

std::string describe(IntegerRange range) {
  if (range.most < std::numeric_limits<std::int64_t>::max()) {
    return fmt::format("integer from {} to {}", range.least, range.most);
  }
  const bool is_bounded = range.least > std::numeric_limits<std::int64_t>::min();
  return is_bounded ? fmt::format("integer of {} or more", range.least) : "integer";
}

OptionReader::OptionReader(const ConfigNode& root, DocumentRole role) : role_(role) {
  if (root.kind != Kind::kMap && root.kind != Kind::kNull) {
    throw error(fmt::format("{}: got {}, expected a map of options", root.origin, describe(root.kind)));
  }
  levels_.push_back({&root, "", {}});
}

Error OptionReader::error(const std::string& message) const {
  return Error(role_ == DocumentRole::kConfiguration ? ExitCode::kUsage : ExitCode::kInput, message);
}

std::string OptionReader::path_of(std::string_view key) const {
  const std::string& path = levels_.back().path;
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

const ConfigNode* OptionReader::take(std::string_view key) {
  Level& level = levels_.back();
  level.known.emplace_back(key);
  return level.node == nullptr ? nullptr : level.node->find(key);
}

Error OptionReader::wrong_kind(std::string_view key, const ConfigNode& node,
                               std::string_view expected) const {
  const bool scalar = node.kind != Kind::kList && node.kind != Kind::kMap && node.kind != Kind::kNull;
  return error(fmt::format("{}: {}: got {}{}, expected {}", node.origin, path_of(key), describe(node.kind),
                           scalar ? fmt::format(" ({})", node.text) : "", expected));
}

void OptionReader::option(std::string_view key, bool& value, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  if (node->kind != Kind::kBoolean) throw wrong_kind(key, *node, "true or false");
  value = node->text[0] == 't' || node->text[0] == 'T';
}

void OptionReader::option(std::string_view key, std::int64_t& value, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  if (node->kind != Kind::kInteger) throw wrong_kind(key, *node, "an integer");
  const std::optional<std::int64_t> number = to_integer(node->text);
  if (!number) throw wrong_kind(key, *node, "an integer of at most 64 bits");
  value = *number;
}

void OptionReader::count(std::string_view key, std::int64_t& value, IntegerRange range,
                         std::string_view doc) {
  option(key, value, doc);
  const ConfigNode* node = levels_.back().node == nullptr ? nullptr : levels_.back().node->find(key);
  if (node != nullptr && !range.contains(value)) throw wrong_kind(key, *node, "an " + describe(range));
}

void OptionReader::option(std::string_view key, double& value, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  if (!is_number(*node)) throw wrong_kind(key, *node, "a number");
  const std::optional<double> number = to_number(node->text);
  if (!number) throw wrong_kind(key, *node, kFinite);
  value = *number;
}

void OptionReader::option(std::string_view key, std::string& value, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  if (node->kind != Kind::kText) throw wrong_kind(key, *node, "text (in quotes, if it looks like a number)");
  value = node->text;
}

void OptionReader::option(std::string_view key, std::vector<std::string>& value, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  if (node->kind != Kind::kList) throw wrong_kind(key, *node, "a list of texts");
  value.clear();
  for (const ConfigNode& item : node->items) {
    if (item.kind != Kind::kText) throw wrong_kind(key, item, "text (in quotes, if it looks like a number)");
    value.push_back(item.text);
  }
}

void OptionReader::option(std::string_view key, std::vector<double>& value, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  if (node->kind != Kind::kList) throw wrong_kind(key, *node, "a list of numbers");
  value.clear();
  for (const ConfigNode& item : node->items) {
    if (!is_number(item)) throw wrong_kind(key, item, "a number");
    const std::optional<double> number = to_number(item.text);
    if (!number) throw wrong_kind(key, item, kFinite);
    value.push_back(*number);
  }
}

void OptionReader::count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) {
  const ConfigNode* level = levels_.back().node;
  const ConfigNode* node = level == nullptr ? nullptr : level->find(key);
  if (node != nullptr && node->kind == Kind::kText) {
    if (node->text != kAutoText) throw wrong_kind(key, *node, "an integer or auto");
    take(key);
    value = kAuto;
    return;
  }
  option(key, value, doc);
  if (node != nullptr && value < 0) throw wrong_kind(key, *node, "0 or more, or auto");
}

void OptionReader::choose(std::string_view key, std::size_t, std::span<const std::string_view> names,
                          SetChoice set, std::string_view) {
  const ConfigNode* node = take(key);
  if (node == nullptr) return;
  const auto found = std::find(names.begin(), names.end(), node->text);
  const bool plain = node->kind != Kind::kList && node->kind != Kind::kMap && node->kind != Kind::kNull;
  if (!plain || found == names.end()) {
    throw wrong_kind(key, *node, fmt::format("one of {}", fmt::join(names.begin(), names.end(), ", ")));
  }
  set(static_cast<std::size_t>(found - names.begin()));
}

void OptionReader::enter(std::string_view key, std::string_view) {
  const std::string path = path_of(key);
  const ConfigNode* node = take(key);
  if (node != nullptr && node->kind == Kind::kNull) node = nullptr;
  if (node != nullptr && node->kind != Kind::kMap) throw wrong_kind(key, *node, "a map of options");
  levels_.push_back({node, path, {}});
}

void OptionReader::leave() {
  check_unknown(levels_.back());
  levels_.pop_back();
}

void OptionReader::finish() {
  check_unknown(levels_.back());
}

void OptionReader::check_unknown(const Level& level) const {
  if (level.node == nullptr) return;
  for (const std::pair<std::string, ConfigNode>& field : level.node->fields) {
    const std::string& name = field.first;
    if (std::find(level.known.begin(), level.known.end(), name) != level.known.end()) continue;
    const std::string path = level.path.empty() ? name : fmt::format("{}.{}", level.path, name);
    std::string hint = did_you_mean(name, level.known);
    if (hint.empty()) hint = fmt::format("; known here: {}", join(level.known, ", "));
    throw error(fmt::format("{}: unknown key '{}'{}", field.second.origin, path, hint));
  }
}

void OptionLister::add(std::string_view key, std::string kind, std::string value, std::string_view doc,
                       bool is_section) {
  list_.push_back(
      {prefix_ + std::string(key), std::move(kind), std::move(value), std::string(doc), is_section});
}

void OptionLister::option(std::string_view key, bool& value, std::string_view doc) {
  add(key, "true | false", value ? "true" : "false", doc);
}

void OptionLister::option(std::string_view key, std::int64_t& value, std::string_view doc) {
  add(key, "integer", fmt::format("{}", value), doc);
}

void OptionLister::count(std::string_view key, std::int64_t& value, IntegerRange range,
                         std::string_view doc) {
  add(key, describe(range), fmt::format("{}", value), doc);
}

void OptionLister::option(std::string_view key, double& value, std::string_view doc) {
  add(key, "number", number_text(value), doc);
}

void OptionLister::option(std::string_view key, std::string& value, std::string_view doc) {
  add(key, "text", yaml_quoted(value), doc);
}

void OptionLister::option(std::string_view key, std::vector<std::string>& value, std::string_view doc) {
  add(key, "list of texts", flow_list(value, yaml_quoted), doc);
}

void OptionLister::option(std::string_view key, std::vector<double>& value, std::string_view doc) {
  add(key, "list of numbers", flow_list(value, number_text), doc);
}

void OptionLister::count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) {
  add(key, "integer | auto", value == kAuto ? std::string(kAutoText) : fmt::format("{}", value), doc);
}

void OptionLister::choose(std::string_view key, std::size_t index, std::span<const std::string_view> names,
                          SetChoice, std::string_view doc) {
  add(key, fmt::format("{}", fmt::join(names.begin(), names.end(), " | ")), std::string(names[index]), doc);
}

void OptionLister::enter(std::string_view key, std::string_view doc) {
  add(key, "section", "", doc, true);
  prefix_ += std::string(key) + ".";
}

void OptionLister::leave() {
  prefix_.pop_back();
  const std::size_t dot = prefix_.rfind('.');
  prefix_.resize(dot == std::string::npos ? 0 : dot + 1);
}

std::string to_yaml(std::span<const OptionDescription> options, bool with_docs) {
  std::string text;
  for (const OptionDescription& option : options) {
    const std::vector<std::string> keys = split(option.path, '.');
    const std::string indent((keys.size() - 1) * 2, ' ');
    if (with_docs) text += fmt::format("{}# {}\n", indent, option.doc);
    text += option.is_section ? fmt::format("{}{}:\n", indent, keys.back())
                              : fmt::format("{}{}: {}\n", indent, keys.back(), option.value);
  }
  return text;
}

}  // namespace sdsclip

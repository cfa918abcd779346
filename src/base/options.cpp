#include "sdsclip/base/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

using Kind = ConfigNode::Kind;

constexpr std::string_view kAutoText = "auto";

std::string yaml_quoted(const std::string& text) {
  constexpr std::string_view kSpecial = "\"\\\n\t";
  constexpr std::string_view kWritten = "\"\\nt";  // behind a backslash
  std::string result = "\"";
  for (const char c : text) {
    if (const std::size_t found = kSpecial.find(c); found != std::string_view::npos) {
      (result += '\\') += kWritten[found];
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\x{:02x}", c);
    } else {
      result += c;
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

/// Binds a document to the options.
class OptionReader : public OptionVisitor {
 public:
  OptionReader(const ConfigNode& root, DocumentRole role) : role_(role) {
    if (root.kind != Kind::kMap && root.kind != Kind::kNull) {
      throw error(fmt::format("{}: got {}, expected a map of options", root.origin, describe(root.kind)));
    }
    levels_.push_back({&root, {}});
  }

  /// Refuses unknown keys of the current section.
  void check_unknown() const {
    const Level& level = levels_.back();
    if (level.node == nullptr) return;
    for (const ConfigNode& field : level.node->fields) {
      if (std::find(level.known.begin(), level.known.end(), field.name) != level.known.end()) continue;
      std::string hint = did_you_mean(field.name, level.known);
      if (hint.empty()) hint = fmt::format("; known here: {}", join(level.known, ", "));
      throw error(fmt::format("{}: unknown key '{}'{}", field.origin, path_of(field.name), hint));
    }
  }

 protected:
  void visit(std::string_view key, const OptionField& field, std::string_view) override {
    const ConfigNode* node = take(key);
    if (node != nullptr) std::visit([&](const auto& each) { read(key, *node, each); }, field);
  }
  void enter(std::string_view key, std::string_view) override {
    const ConfigNode* node = take(key);
    if (node != nullptr && node->kind == Kind::kNull) node = nullptr;
    if (node != nullptr) require(node->kind == Kind::kMap, key, *node, "a map of options");
    levels_.push_back({node, {}});
  }
  void leave() override {
    check_unknown();
    levels_.pop_back();
  }

 private:
  struct Level {
    const ConfigNode* node = nullptr;  // null: the document has no such section
    std::vector<std::string> known;
  };

  const ConfigNode* take(std::string_view key) {
    Level& level = levels_.back();
    level.known.emplace_back(key);
    return level.node == nullptr ? nullptr : level.node->find(key);
  }

  void read(std::string_view key, const ConfigNode& node, bool* value) const {
    require(node.kind == Kind::kBoolean, key, node, "true or false");
    *value = node.text[0] == 't' || node.text[0] == 'T';
  }
  void read(std::string_view key, const ConfigNode& node, const IntegerField& field) const {
    if (field.may_be_auto && node.kind == Kind::kText) {
      require(node.text == kAutoText, key, node, "an integer or auto");
      *field.value = kAuto;
      return;
    }
    require(node.kind == Kind::kInteger, key, node, "an integer");
    const std::optional<std::int64_t> number = to_integer(node.text);
    require(number.has_value(), key, node, "an integer of at most 64 bits");
    const std::string_view or_auto = field.may_be_auto ? ", or auto" : "";
    require(field.range.contains(*number), key, node, fmt::format("an {}{}", describe(field.range), or_auto));
    *field.value = *number;
  }
  void read(std::string_view key, const ConfigNode& node, const NumberField& field) const {
    *field.value = number_of(key, node, field.range);
  }
  void read(std::string_view key, const ConfigNode& node, std::string* value) const {
    *value = text_of(key, node);
  }
  void read(std::string_view key, const ConfigNode& node, std::vector<std::string>* value) const {
    require(node.kind == Kind::kList, key, node, "a list of texts");
    value->clear();
    for (const ConfigNode& item : node.items) value->push_back(text_of(key, item));
  }
  void read(std::string_view key, const ConfigNode& node, std::vector<double>* value) const {
    require(node.kind == Kind::kList, key, node, "a list of numbers");
    value->clear();
    for (const ConfigNode& item : node.items) value->push_back(number_of(key, item, {}));
  }
  void read(std::string_view key, const ConfigNode& node, const ChoiceField& field) const {
    const auto found = std::find(field.names.begin(), field.names.end(), node.text);
    require(is_scalar(node) && found != field.names.end(), key, node,
            fmt::format("one of {}", fmt::join(field.names, ", ")));
    field.set(static_cast<std::size_t>(found - field.names.begin()));
  }

  [[nodiscard]] double number_of(std::string_view key, const ConfigNode& node, NumberRange range) const {
    require(node.kind == Kind::kInteger || node.kind == Kind::kNumber, key, node, "a number");
    const std::optional<double> number = to_number(node.text);
    require(number.has_value(), key, node, "a finite number within a double's range");
    require(range.contains(*number), key, node, "a " + describe(range));
    return *number;
  }
  [[nodiscard]] const std::string& text_of(std::string_view key, const ConfigNode& node) const {
    require(node.kind == Kind::kText, key, node, "text (in quotes, if it looks like a number)");
    return node.text;
  }

  static bool is_scalar(const ConfigNode& node) {
    return node.kind != Kind::kList && node.kind != Kind::kMap && node.kind != Kind::kNull;
  }
  void require(bool holds, std::string_view key, const ConfigNode& node, std::string_view expected) const {
    if (holds) return;
    throw error(fmt::format("{}: {}: got {}{}, expected {}", node.origin, path_of(key), describe(node.kind),
                            is_scalar(node) ? fmt::format(" ({})", node.text) : "", expected));
  }
  [[nodiscard]] Error error(const std::string& message) const {
    return Error(role_ == DocumentRole::kConfiguration ? ExitCode::kUsage : ExitCode::kInput, message);
  }

  std::vector<Level> levels_;
  DocumentRole role_;
};

class OptionLister : public OptionVisitor {
 public:
  std::vector<OptionDescription> list;

 protected:
  void visit(std::string_view key, const OptionField& field, std::string_view doc) override {
    list.push_back({path_of(key), kind_of(field), value_of(field), std::string(doc)});
  }
  void enter(std::string_view key, std::string_view doc) override {
    list.push_back({path_of(key), "section", "", std::string(doc), /*is_section=*/true});
  }

 private:
  static std::string kind_of(const OptionField& field) {
    return std::visit(
        Overloaded{[](const bool*) -> std::string { return "true | false"; },
                   [](const IntegerField& each) {
                     return each.may_be_auto ? "integer | auto" : describe(each.range);
                   },
                   [](const NumberField& each) { return describe(each.range); },
                   [](const std::string*) -> std::string { return "text"; },
                   [](const std::vector<std::string>*) -> std::string { return "list of texts"; },
                   [](const std::vector<double>*) -> std::string { return "list of numbers"; },
                   [](const ChoiceField& each) { return fmt::format("{}", fmt::join(each.names, " | ")); }},
        field);
  }
  /// The current value as YAML.
  static std::string value_of(const OptionField& field) {
    return std::visit(
        Overloaded{[](const bool* value) { return fmt::format("{}", *value); },
                   [](const IntegerField& each) { return to_text(each); },
                   [](const NumberField& each) { return number_text(*each.value); },
                   [](const std::string* value) { return yaml_quoted(*value); },
                   [](const std::vector<std::string>* value) { return flow_list(*value, yaml_quoted); },
                   [](const std::vector<double>* value) { return flow_list(*value, number_text); },
                   [](const ChoiceField& each) { return std::string(each.names[each.index]); }},
        field);
  }
};

class RangeChecker : public OptionVisitor {
 protected:
  void visit(std::string_view key, const OptionField& field, std::string_view) override {
    if (const IntegerField* integer = std::get_if<IntegerField>(&field)) {
      const bool is_auto = integer->may_be_auto && *integer->value == kAuto;
      require(is_auto || integer->range.contains(*integer->value), key, to_text(*integer),
              "an " + describe(integer->range));
    } else if (const NumberField* number = std::get_if<NumberField>(&field)) {
      require(number->range.contains(*number->value), key, number_text(*number->value),
              "a " + describe(number->range));
    }
  }

 private:
  void require(bool holds, std::string_view key, const std::string& got, const std::string& expected) const {
    if (!holds) throw usage_error("{}: got {}, expected {}", path_of(key), got, expected);
  }
};

}  // namespace

bool NumberRange::contains(double value) const {
  return (without_least ? value > least : value >= least) && (without_most ? value < most : value <= most);
}

std::string describe(IntegerRange range) {
  if (range.most < std::numeric_limits<std::int64_t>::max()) {
    return fmt::format("integer from {} to {}", range.least, range.most);
  }
  const bool is_bounded = range.least > std::numeric_limits<std::int64_t>::min();
  return is_bounded ? fmt::format("integer of {} or more", range.least) : "integer";
}

std::string describe(NumberRange range) {
  std::string text = "number";
  if (range.least != std::numeric_limits<double>::lowest()) {
    text += range.without_least ? fmt::format(" above {}", range.least)
                                : fmt::format(" of {} or more", range.least);
  }
  if (range.most != std::numeric_limits<double>::max()) {
    text += fmt::format(" and {} {}", range.without_most ? "below" : "at most", range.most);
  }
  return text;
}

std::string to_text(const IntegerField& field) {
  const bool is_auto = field.may_be_auto && *field.value == kAuto;
  return is_auto ? std::string(kAutoText) : fmt::format("{}", *field.value);
}

void bind_walk(const ConfigNode& root, DocumentRole role, const OptionWalk& walk) {
  OptionReader reader(root, role);
  walk(reader);
  reader.check_unknown();
}

std::vector<OptionDescription> list_walk(const OptionWalk& walk) {
  OptionLister lister;
  walk(lister);
  return lister.list;
}

void check_walk(const OptionWalk& walk) {
  RangeChecker checker;
  walk(checker);
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

#include "command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

std::string flag_name(std::string_view path) {
  std::string name(path.substr(path.rfind('.') + 1));  // the whole path, if there is no dot
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

Error wrong_value(std::string_view flag, std::string_view got, std::string_view expected) {
  return usage_error("{}: got '{}', expected {}", flag, got, expected);
}

double number_of(std::string_view flag, const std::string& text, NumberRange range = {}) {
  const std::optional<double> number = to_number(text);
  if (!number) throw wrong_value(flag, text, "a finite number");
  if (!range.contains(*number)) throw wrong_value(flag, text, "a " + describe(range));
  return *number;
}

std::int64_t integer_of(std::string_view flag, const std::string& text, IntegerRange range) {
  const std::optional<std::int64_t> number = to_integer(text);
  if (!number || !range.contains(*number)) throw wrong_value(flag, text, "an " + describe(range));
  return *number;
}

using Values = std::vector<std::string>;

}  // namespace

void CommandLine::add(std::string_view key, ArgumentDescription description, Set set) {
  const std::string path = path_of(key);
  if (!chosen_.empty()) {
    const auto flag = std::find_if(chosen_.begin(), chosen_.end(),
                                   [&](const Flag& candidate) { return candidate.path == path; });
    if (flag == chosen_.end()) return;
    ++found_;
    description.name = flag->name;
    description.needs = flag->needs;
  }
  if (description.name.empty()) description.name = flag_name(path);
  auto set_named = [flag = description.name, set = std::move(set)](const Values& values) {
    set(flag, values);
  };
  arguments_.push_back({std::move(description), std::move(set_named)});
}

void CommandLine::check_all_found() {
  if (found_ != chosen_.size())
    throw std::logic_error("a flag names an option that its struct does not have");
  chosen_.clear();
  found_ = 0;
}

void CommandLine::visit(std::string_view key, const OptionField& field, std::string_view text) {
  const std::string doc(text);
  const auto by_type =
      Overloaded{[&](bool* value) {
                   add(key, {.kind = "flag", .doc = doc, .values = 0},
                       [value](std::string_view flag, const Values& values) {
                         const std::string& given = values.back();
                         if (given != "true" && given != "false")
                           throw wrong_value(flag, given, "true or false");
                         *value = given == "true";
                       });
                 },
                 [&](const IntegerField& each) {
                   const std::string kind = each.may_be_auto ? "integer | auto" : describe(each.range);
                   add(key, {.kind = kind, .default_value = to_text(each), .doc = doc},
                       [each](std::string_view flag, const Values& values) {
                         const bool is_auto = each.may_be_auto && values.front() == "auto";
                         *each.value = is_auto ? kAuto : integer_of(flag, values.front(), each.range);
                       });
                 },
                 [&](const NumberField& each) {
                   add(key, {.kind = "number", .default_value = fmt::format("{}", *each.value), .doc = doc},
                       [each](std::string_view flag, const Values& values) {
                         *each.value = number_of(flag, values.front(), each.range);
                       });
                 },
                 [&](std::string* value) {
                   add(key, {.kind = "text", .default_value = *value, .doc = doc},
                       [value](std::string_view, const Values& values) { *value = values.front(); });
                 },
                 [&](std::vector<std::string>* value) {
                   add(key, {.kind = "text", .doc = doc, .is_repeated = true},
                       [value](std::string_view, const Values& values) { *value = values; });
                 },
                 [&](std::vector<double>* value) {
                   add(key, {.kind = "number", .doc = doc, .is_repeated = true},
                       [value](std::string_view flag, const Values& values) {
                         value->clear();
                         for (const std::string& given : values) value->push_back(number_of(flag, given));
                       });
                 },
                 [&](const ChoiceField& each) {
                   one_of(key, each.names, std::string(each.names[each.index]), each.set, doc);
                 }};
  std::visit(by_type, field);
}

void CommandLine::count(std::string_view key, std::optional<std::int64_t>& value, IntegerRange range,
                        std::string_view doc) {
  add(key, {.kind = describe(range), .doc = std::string(doc)},
      [&value, range](std::string_view flag, const Values& values) {
        value = integer_of(flag, values.front(), range);
      });
}

void CommandLine::one_of(std::string_view key, std::span<const std::string_view> names,
                         std::string default_value, std::function<void(std::size_t index)> set,
                         std::string_view doc) {
  const Values choices(names.begin(), names.end());
  add(key,
      {.kind = join(choices, " | "),
       .choices = choices,
       .default_value = std::move(default_value),
       .doc = std::string(doc)},
      [choices, set = std::move(set)](std::string_view flag, const Values& values) {
        const auto found = std::find(choices.begin(), choices.end(), values.front());
        if (found == choices.end()) {
          throw wrong_value(
              flag, values.front(),
              fmt::format("one of {}{}", join(choices, ", "), did_you_mean(values.front(), choices)));
        }
        set(static_cast<std::size_t>(found - choices.begin()));
      });
}

void CommandLine::range(std::string_view key, double& low, double& high, std::string_view doc) {
  add(key,
      {.kind = "number",
       .default_value = fmt::format("{} {}", low, high),
       .doc = std::string(doc),
       .values = 2},
      [&low, &high](std::string_view flag, const Values& values) {
        low = number_of(flag, values.front());
        high = number_of(flag, values.back());
      });
}

}  // namespace sdsclip

#include "command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sdsclip/base/error.h"
#include "sdsclip/base/numbers.h"
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

double number_of(std::string_view flag, const std::string& text) {
  const std::optional<double> number = to_number(text);
  if (!number) throw wrong_value(flag, text, "a finite number");
  return *number;
}

std::int64_t integer_of(std::string_view flag, const std::string& text, IntegerRange range) {
  const std::optional<std::int64_t> number = to_integer(text);
  if (!number || !range.contains(*number)) throw wrong_value(flag, text, "an " + describe(range));
  return *number;
}

using Values = std::vector<std::string>;

}  // namespace

void CommandLine::add(std::string_view key, ArgumentDescription description,
                      std::function<void(std::string_view flag, const Values& values)> set) {
  const std::string path = prefix_ + std::string(key);
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

void CommandLine::option(std::string_view key, bool& value, std::string_view doc) {
  add(key, {.kind = "flag", .doc = std::string(doc), .values = 0},
      [&value](std::string_view flag, const Values& values) {
        const std::string& text = values.back();
        if (text != "true" && text != "false") throw wrong_value(flag, text, "true or false");
        value = text == "true";
      });
}

void CommandLine::option(std::string_view key, std::int64_t& value, std::string_view doc) {
  count(key, value, {}, doc);
}

void CommandLine::count(std::string_view key, std::int64_t& value, IntegerRange range, std::string_view doc) {
  add(key, {.kind = describe(range), .default_value = std::to_string(value), .doc = std::string(doc)},
      [&value, range](std::string_view flag, const Values& values) {
        value = integer_of(flag, values.front(), range);
      });
}

void CommandLine::count(std::string_view key, std::optional<std::int64_t>& value, IntegerRange range,
                        std::string_view doc) {
  add(key, {.kind = describe(range), .doc = std::string(doc)},
      [&value, range](std::string_view flag, const Values& values) {
        value = integer_of(flag, values.front(), range);
      });
}

void CommandLine::option(std::string_view key, double& value, std::string_view doc) {
  add(key, {.kind = "number", .default_value = fmt::format("{}", value), .doc = std::string(doc)},
      [&value](std::string_view flag, const Values& values) { value = number_of(flag, values.front()); });
}

void CommandLine::option(std::string_view key, std::string& value, std::string_view doc) {
  add(key, {.kind = "text", .default_value = value, .doc = std::string(doc)},
      [&value](std::string_view, const Values& values) { value = values.front(); });
}

void CommandLine::option(std::string_view key, std::vector<std::string>& value, std::string_view doc) {
  add(key, {.kind = "text", .doc = std::string(doc), .is_repeated = true},
      [&value](std::string_view, const Values& values) { value = values; });
}

void CommandLine::option(std::string_view key, std::vector<double>& value, std::string_view doc) {
  add(key, {.kind = "number", .doc = std::string(doc), .is_repeated = true},
      [&value](std::string_view flag, const Values& values) {
        value.clear();
        for (const std::string& text : values) value.push_back(number_of(flag, text));
      });
}

void CommandLine::count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) {
  const std::string by_default = value == kAuto ? "auto" : std::to_string(value);
  add(key, {.kind = "integer | auto", .default_value = by_default, .doc = std::string(doc)},
      [&value](std::string_view flag, const Values& values) {
        value = values.front() == "auto" ? kAuto : integer_of(flag, values.front(), {0});
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

void CommandLine::choose(std::string_view key, std::size_t index, std::span<const std::string_view> names,
                         SetChoice set, std::string_view doc) {
  one_of(key, names, std::string(names[index]), std::move(set), doc);
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

void CommandLine::enter(std::string_view key, std::string_view) {
  prefix_ += std::string(key) + ".";
}

void CommandLine::leave() {
  prefix_.pop_back();
  const std::size_t dot = prefix_.rfind('.');
  prefix_.resize(dot == std::string::npos ? 0 : dot + 1);
}

}  // namespace sdsclip

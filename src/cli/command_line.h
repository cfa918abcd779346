#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/cli/commands.h"

namespace sdsclip {

/// An argument bound to the field that it sets. `set` throws `Error(kUsage)` that names the argument.
struct Argument {
  ArgumentDescription description;
  std::function<void(const std::vector<std::string>& values)> set;
};

/// An option of an option struct that is a flag of a command.
struct Flag {
  std::string_view path = {};   ///< "adaptive.min_samples"
  std::string_view name = {};   ///< "--batch"; empty: made of the path's last key, "--min-samples"
  std::string_view needs = {};  ///< another flag, without which this one has no meaning
};

/// Collects a command's arguments from `visit_options(CommandLine&, Command&)`. What is visited as an option
/// is the flag of its key; the field's value is the default. Values are set in the order of the visits.
class CommandLine : public OptionVisitor {
 public:
  // A value that is read from elsewhere, or computed, unless it is given.
  void count(std::string_view key, std::optional<std::int64_t>& value, IntegerRange range,
             std::string_view doc);
  using OptionVisitor::count;
  template <typename Enum>
  void choice(std::string_view key, std::optional<Enum>& value, std::span<const std::string_view> names,
              std::string_view doc) {
    one_of(
        key, names, "", [&value](std::size_t index) { value = static_cast<Enum>(index); }, doc);
  }
  using OptionVisitor::choice;

  /// A name that stands for several values. It is applied before the flags that are visited after it.
  void one_of(std::string_view key, std::span<const std::string_view> names, std::string default_value,
              std::function<void(std::size_t index)> set, std::string_view doc);

  /// One flag with two numbers.
  void range(std::string_view key, double& low, double& high, std::string_view doc);

  /// The options of a struct that are flags; the others are left at their values.
  template <typename Options>
  void flags_of(Options& options, std::initializer_list<Flag> flags) {
    chosen_ = flags;
    visit_options(static_cast<OptionVisitor&>(*this), options);
    check_all_found();
  }

  template <typename Value>
  void required(std::string_view key, Value& value, std::string_view doc) {
    option(key, value, doc);
    arguments_.back().description.is_required = true;
  }
  template <typename Value>
  void positional(std::string_view key, Value& value, std::string_view doc, bool is_required = true) {
    option(key, value, doc);
    arguments_.back().description.name = key;
    arguments_.back().description.is_positional = true;
    arguments_.back().description.is_required = is_required;
  }
  /// Of the argument that was visited last.
  void short_name(std::string name) { arguments_.back().description.short_name = std::move(name); }

  [[nodiscard]] std::vector<Argument> take() { return std::move(arguments_); }

 protected:
  void visit(std::string_view key, const OptionField& field, std::string_view doc) override;

 private:
  using Set = std::function<void(std::string_view flag, const std::vector<std::string>& values)>;
  void add(std::string_view key, ArgumentDescription description, Set set);
  void check_all_found();

  std::vector<Argument> arguments_;
  std::vector<Flag> chosen_;  // empty: everything
  std::size_t found_ = 0;     // of them
};

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/error.h"

namespace sdsclip {

/// The value of an option that is written `auto`: the program chooses the number.
inline constexpr std::int64_t kAuto = -1;

// The largest counts that an option takes. What is beyond them can only be a slip of the hand, and would end
// a run late, in an allocation or an overflow.
inline constexpr std::int64_t kMostCount = (std::int64_t{1} << 31) - 1;  ///< steps, cases, samples, bins
inline constexpr std::int64_t kMostBatch = std::int64_t{1} << 20;  ///< items through a network at a time
inline constexpr std::int64_t kMostThreads = 4096;

/// The integers that an option may have, ends included.
struct IntegerRange {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  [[nodiscard]] bool contains(std::int64_t value) const { return least <= value && value <= most; }
};

/// The numbers that an option may have, ends included unless it says otherwise. All are finite.
struct NumberRange {
  double least = std::numeric_limits<double>::lowest();
  double most = std::numeric_limits<double>::max();
  bool without_least = false;
  bool without_most = false;
  [[nodiscard]] bool contains(double value) const;
};

/// "integer", "integer of 1 or more", "integer from 1 to 64".
std::string describe(IntegerRange range);

/// "number", "number above 0", "number of 0 or more and below 1".
std::string describe(NumberRange range);

/// The field that an option sets, and the values that it may have.
struct IntegerField {
  std::int64_t* value;
  IntegerRange range = {};
  bool may_be_auto = false;  ///< `auto` is stored as `kAuto`
};
struct NumberField {
  double* value;
  NumberRange range = {};
};
struct ChoiceField {
  std::size_t index = 0;                         ///< of the current value
  std::span<const std::string_view> names;       ///< the written values
  std::function<void(std::size_t index)> set{};  ///< stores another one
};
using OptionField = std::variant<bool*, IntegerField, NumberField, std::string*, std::vector<std::string>*,
                                 std::vector<double>*, ChoiceField>;

/// The current value as it is written.
std::string to_text(const IntegerField& field);

/// The functions as one, for `std::visit`.
template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

/// Walks the fields of an option struct. Each struct lists its options once, with their texts:
///
///     struct DataOptions {
///       std::string format = "coco";
///       std::int64_t workers = 2;
///     };
///     void visit_options(OptionVisitor& visitor, DataOptions& options) {
///       visitor.option("format", options.format, "Format of the data set: coco, tsv or webdataset.");
///       visitor.count("workers", options.workers, {1}, "Number of threads that decode images.");
///     }
///
/// A text says what the option does, its unit, and when to change it. That one function drives reading,
/// `--set`, command-line flags, `--help`, printing and docs/configuration.md.
class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;

  /// A boolean, an integer, a number, a text, or a list of texts or numbers.
  template <typename Value>
  void option(std::string_view key, Value& value, std::string_view doc) {
    if constexpr (std::is_same_v<Value, std::int64_t>) {
      visit(key, IntegerField{&value}, doc);
    } else if constexpr (std::is_same_v<Value, double>) {
      visit(key, NumberField{&value}, doc);
    } else {
      visit(key, &value, doc);
    }
  }
  /// An integer or a number of a range.
  void count(std::string_view key, std::int64_t& value, IntegerRange range, std::string_view doc) {
    visit(key, IntegerField{&value, range}, doc);
  }
  void number(std::string_view key, double& value, NumberRange range, std::string_view doc) {
    visit(key, NumberField{&value, range}, doc);
  }
  /// An integer of 0 or more, or `auto`.
  void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) {
    visit(key, IntegerField{&value, {0}, true}, doc);
  }

  /// An enumeration. `names` are the written values, in the order of the enumerators, which count from zero.
  template <typename Enum>
  void choice(std::string_view key, Enum& value, std::span<const std::string_view> names,
              std::string_view doc) {
    const auto set = [&value](std::size_t index) { value = static_cast<Enum>(index); };
    visit(key, ChoiceField{static_cast<std::size_t>(value), names, set}, doc);
  }

  /// An enumeration of which nothing may be chosen, which is written `none`.
  template <typename Enum>
  void choice_or(std::string_view key, std::optional<Enum>& value, std::string_view none,
                 std::span<const std::string_view> names, std::string_view doc) {
    std::vector<std::string_view> all = {none};
    all.insert(all.end(), names.begin(), names.end());
    const auto set = [&value](std::size_t index) {
      value = index == 0 ? std::nullopt : std::optional(static_cast<Enum>(index - 1));
    };
    visit(key, ChoiceField{value ? static_cast<std::size_t>(*value) + 1 : 0, all, set}, doc);
  }

  /// A nested struct with its own `visit_options`.
  template <typename Options>
  void section(std::string_view key, Options& options, std::string_view doc) {
    enter(key, doc);
    const std::size_t outer = prefix_.size();
    (prefix_ += key) += '.';
    visit_options(*this, options);
    leave();
    prefix_.resize(outer);
  }

 protected:
  /// `field` refers to its names only during the call.
  virtual void visit(std::string_view key, const OptionField& field, std::string_view doc) = 0;
  virtual void enter(std::string_view, std::string_view) {}
  virtual void leave() {}
  /// The key with those of the sections around it: "sds.lambda".
  [[nodiscard]] std::string path_of(std::string_view key) const { return prefix_ + std::string(key); }

 private:
  std::string prefix_;  // "sds."
};

/// Calls `visit_options` of a struct with the visitor.
using OptionWalk = std::function<void(OptionVisitor& visitor)>;

void bind_walk(const ConfigNode& root, DocumentRole role, const OptionWalk& walk);

/// Binds a document strictly. An unknown key is an error that names the nearest known one; a value of the
/// wrong kind or out of its range is an error that names file and line. Options that the document leaves out
/// keep their defaults.
template <typename Options>
void bind_options(const ConfigNode& root, Options& options,
                  DocumentRole role = DocumentRole::kConfiguration) {
  bind_walk(root, role, [&](OptionVisitor& visitor) { visit_options(visitor, options); });
}

/// One option, as the documentation shows it.
struct OptionDescription {
  std::string path;   ///< "sds.lambda"
  std::string kind;   ///< "number", "ddpm | none"
  std::string value;  ///< as YAML
  std::string doc;
  bool is_section = false;
};

std::vector<OptionDescription> list_walk(const OptionWalk& walk);

/// Lists the options of a struct with their current values.
template <typename Options>
std::vector<OptionDescription> list_options(Options options) {
  return list_walk([&](OptionVisitor& visitor) { visit_options(visitor, options); });
}

void check_walk(const OptionWalk& walk);

/// Throws `Error(kUsage)` that names the option if a number that no document or flag gave is out of its
/// range. `section` is the options' place in the configuration: "rank".
template <typename Options>
void check_ranges(Options options, std::string_view section = "") {
  check_walk([&](OptionVisitor& visitor) {
    section.empty() ? visit_options(visitor, options) : visitor.section(section, options, "");
  });
}

/// The options as a YAML document that reads back to the same values. `with_docs` writes each option's text
/// above it.
std::string to_yaml(std::span<const OptionDescription> options, bool with_docs = false);

}  // namespace sdsclip

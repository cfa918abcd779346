#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/error.h"

namespace sdsclip {

/// The value of an option that is written `auto`: the program chooses the number.
inline constexpr std::int64_t kAuto = -1;

/// The integers that an option may have, ends included.
struct IntegerRange {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  [[nodiscard]] bool contains(std::int64_t value) const { return least <= value && value <= most; }
};

/// "integer", "integer of 1 or more", "integer from 1 to 64".
std::string describe(IntegerRange range);

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

  virtual void option(std::string_view key, bool& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::int64_t& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, double& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::string& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::vector<std::string>& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::vector<double>& value, std::string_view doc) = 0;
  /// An integer of a range.
  virtual void count(std::string_view key, std::int64_t& value, IntegerRange range, std::string_view doc) = 0;
  /// An integer, or `auto`, which is stored as `kAuto`.
  virtual void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) = 0;

  /// An enumeration. `names` are the written values, in the order of the enumerators, which count from zero.
  template <typename Enum>
  void choice(std::string_view key, Enum& value, std::span<const std::string_view> names,
              std::string_view doc) {
    choose(
        key, static_cast<std::size_t>(value), names,
        [&value](std::size_t index) { value = static_cast<Enum>(index); }, doc);
  }

  /// An enumeration of which nothing may be chosen, which is written `none`.
  template <typename Enum>
  void choice_or(std::string_view key, std::optional<Enum>& value, std::string_view none,
                 std::span<const std::string_view> names, std::string_view doc) {
    std::vector<std::string_view> all = {none};
    all.insert(all.end(), names.begin(), names.end());
    choose(
        key, value ? static_cast<std::size_t>(*value) + 1 : 0, all,
        [&value](std::size_t index) {
          value = index == 0 ? std::nullopt : std::optional(static_cast<Enum>(index - 1));
        },
        doc);
  }

  /// A nested struct with its own `visit_options`.
  template <typename Options>
  void section(std::string_view key, Options& options, std::string_view doc) {
    enter(key, doc);
    visit_options(*this, options);
    leave();
  }

 protected:
  using SetChoice = std::function<void(std::size_t index)>;
  virtual void choose(std::string_view key, std::size_t index, std::span<const std::string_view> names,
                      SetChoice set, std::string_view doc) = 0;
  virtual void enter(std::string_view key, std::string_view doc) = 0;
  virtual void leave() = 0;
};

/// Binds a document strictly. An unknown key is an error that names the nearest known one; a value of the
/// wrong kind is an error that names file and line. Options that the document leaves out keep their defaults.
class OptionReader : public OptionVisitor {
 public:
  OptionReader(const ConfigNode& root, DocumentRole role);

  void option(std::string_view key, bool& value, std::string_view doc) override;
  void option(std::string_view key, std::int64_t& value, std::string_view doc) override;
  void count(std::string_view key, std::int64_t& value, IntegerRange range, std::string_view doc) override;
  void option(std::string_view key, double& value, std::string_view doc) override;
  void option(std::string_view key, std::string& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<std::string>& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<double>& value, std::string_view doc) override;
  void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) override;

  void finish();  ///< reports unknown keys of the outermost level

 protected:
  void choose(std::string_view key, std::size_t index, std::span<const std::string_view> names, SetChoice set,
              std::string_view doc) override;
  void enter(std::string_view key, std::string_view doc) override;
  void leave() override;

 private:
  struct Level {
    const ConfigNode* node = nullptr;  // null: the document has no such section
    std::string path;
    std::vector<std::string> known;
  };
  const ConfigNode* take(std::string_view key);
  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[nodiscard]] Error wrong_kind(std::string_view key, const ConfigNode& node,
                                 std::string_view expected) const;
  [[nodiscard]] Error error(const std::string& message) const;
  void check_unknown(const Level& level) const;

  std::vector<Level> levels_;
  DocumentRole role_;
};

template <typename Options>
void bind_options(const ConfigNode& root, Options& options,
                  DocumentRole role = DocumentRole::kConfiguration) {
  OptionReader reader(root, role);
  visit_options(reader, options);
  reader.finish();
}

/// One option, as the documentation shows it.
struct OptionDescription {
  std::string path;   ///< "sds.lambda"
  std::string kind;   ///< "number", "ddpm | none"
  std::string value;  ///< as YAML
  std::string doc;
  bool is_section = false;
};

/// Lists the options of a struct with their current values.
class OptionLister : public OptionVisitor {
 public:
  void option(std::string_view key, bool& value, std::string_view doc) override;
  void option(std::string_view key, std::int64_t& value, std::string_view doc) override;
  void count(std::string_view key, std::int64_t& value, IntegerRange range, std::string_view doc) override;
  void option(std::string_view key, double& value, std::string_view doc) override;
  void option(std::string_view key, std::string& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<std::string>& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<double>& value, std::string_view doc) override;
  void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) override;
  [[nodiscard]] const std::vector<OptionDescription>& list() const { return list_; }

 protected:
  void choose(std::string_view key, std::size_t index, std::span<const std::string_view> names, SetChoice set,
              std::string_view doc) override;
  void enter(std::string_view key, std::string_view doc) override;
  void leave() override;

 private:
  void add(std::string_view key, std::string kind, std::string value, std::string_view doc,
           bool is_section = false);

  std::vector<OptionDescription> list_;
  std::string prefix_;
};

template <typename Options>
std::vector<OptionDescription> list_options(Options options) {
  OptionLister lister;
  visit_options(lister, options);
  return lister.list();
}

/// The options as a YAML document that reads back to the same values. `with_docs` writes each option's text
/// above it.
std::string to_yaml(std::span<const OptionDescription> options, bool with_docs = false);

}  // namespace sdsclip

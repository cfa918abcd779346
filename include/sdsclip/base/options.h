#pragma once

#include <cstdint>
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

/// Walks the fields of an option struct. Each struct lists its options once:
///
///     struct DataOptions {
///       std::string format = "coco";
///       std::int64_t workers = 2;
///     };
///     void visit_options(OptionVisitor& visitor, DataOptions& options) {
///       visitor.option("format", options.format, "coco, tsv or webdataset");
///       visitor.option("workers", options.workers, "threads that decode ahead of the step");
///     }
///
/// That one function drives reading, `--set`, printing and the documentation.
class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;

  virtual void option(std::string_view key, bool& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::int64_t& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, double& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::string& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::vector<std::string>& value, std::string_view doc) = 0;
  virtual void option(std::string_view key, std::vector<double>& value, std::string_view doc) = 0;
  /// An integer, or `auto`, which is stored as `kAuto`.
  virtual void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) = 0;

  /// An enumeration. `names` are the written values, in the order of the enumerators, which count from zero.
  template <typename Enum>
  void choice(std::string_view key, Enum& value, std::span<const std::string_view> names,
              std::string_view doc) {
    std::size_t index = static_cast<std::size_t>(value);
    choose(key, index, names, doc);
    value = static_cast<Enum>(index);
  }

  /// An enumeration of which nothing may be chosen, which is written `none`.
  template <typename Enum>
  void choice_or(std::string_view key, std::optional<Enum>& value, std::string_view none,
                 std::span<const std::string_view> names, std::string_view doc) {
    std::vector<std::string_view> all = {none};
    all.insert(all.end(), names.begin(), names.end());
    std::size_t index = value ? static_cast<std::size_t>(*value) + 1 : 0;
    choose(key, index, all, doc);
    value = index == 0 ? std::nullopt : std::optional(static_cast<Enum>(index - 1));
  }

  /// A nested struct with its own `visit_options`.
  template <typename Options>
  void section(std::string_view key, Options& options, std::string_view doc) {
    enter(key, doc);
    visit_options(*this, options);
    leave();
  }

 protected:
  virtual void choose(std::string_view key, std::size_t& index, std::span<const std::string_view> names,
                      std::string_view doc) = 0;
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
  void option(std::string_view key, double& value, std::string_view doc) override;
  void option(std::string_view key, std::string& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<std::string>& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<double>& value, std::string_view doc) override;
  void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) override;

  void finish();  ///< reports unknown keys of the outermost level

 protected:
  void choose(std::string_view key, std::size_t& index, std::span<const std::string_view> names,
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
  void option(std::string_view key, double& value, std::string_view doc) override;
  void option(std::string_view key, std::string& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<std::string>& value, std::string_view doc) override;
  void option(std::string_view key, std::vector<double>& value, std::string_view doc) override;
  void count_or_auto(std::string_view key, std::int64_t& value, std::string_view doc) override;
  [[nodiscard]] const std::vector<OptionDescription>& list() const { return list_; }

 protected:
  void choose(std::string_view key, std::size_t& index, std::span<const std::string_view> names,
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

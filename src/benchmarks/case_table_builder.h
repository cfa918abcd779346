#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// An image as a record refers to it.
struct ImageSource {
  fs::path file;                 ///< below the data folder
  std::optional<Box> crop = {};  ///< the part of it that the case is about
};

/// A case as a loader reads it, before its images and captions become rows of the tables.
struct CaseDraft {
  std::string id = {};                     ///< unique in the benchmark
  std::vector<ImageSource> images = {};    ///< at least one
  std::vector<std::string> captions = {};  ///< in the order that the judge expects
  std::vector<std::string> tags = {};
  std::string where;  ///< file and record, for error messages
};

/// Collects cases into a `CaseTable`. Each image and caption becomes one row, however often it appears.
/// Checks that ids are unique and images exist, and applies `limit` and `skip_missing`.
class CaseTableBuilder {
 public:
  /// Throws `Error(kInput)` if `options.data` is not a folder.
  explicit CaseTableBuilder(const LoadOptions& options);

  /// Starts the next part of the benchmark; `limit` counts per part.
  void begin_part() { cases_in_part_ = 0; }
  /// Whether the current part has `limit` cases, so that the rest need not be read.
  [[nodiscard]] bool part_is_full() const;

  /// Adds a case, or counts it as skipped. Throws `Error(kInput)` on a repeated id or a missing image.
  void add(const CaseDraft& draft);

  /// For loaders that fill the tables themselves: the row of an image, or nothing if its file is missing and
  /// missing images are skipped.
  std::optional<std::int32_t> image_row(BenchmarkImage image, const std::string& where);
  std::int32_t caption_row(const std::string& caption);
  std::int32_t ensemble_row(BenchmarkCaption caption, const std::string& where);
  void add_case(Case question, const std::string& where);
  void skip_case() { ++table_.skipped_missing; }

  /// The table. Throws `Error(kInput)` if it has no case, because a metric without cases is undefined.
  CaseTable finish();

 private:
  bool file_exists(const fs::path& file, const std::string& where);

  LoadOptions options_;
  CaseTable table_;
  std::int64_t cases_in_part_ = 0;
  std::unordered_map<std::string, std::int32_t> image_rows_;
  std::unordered_map<std::string, std::int32_t> caption_rows_;
  std::unordered_set<std::string> case_ids_;
  std::unordered_map<std::string, bool> known_files_;  // whether each requested file exists
};

/// Completes an image name without extension, as some data sets write it, with the extension of the existing
/// file; `name.png` if there is none.
fs::path with_image_extension(const fs::path& data, const fs::path& file);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The count of one part of a local copy, beside that of the published data set.
struct PartCount {
  std::string name;  ///< the tag of its cases, or `all`
  std::int64_t cases = 0;
  std::optional<std::int64_t> published;
};

/// What `sdsclip data check BENCHMARK --data DIR` prints.
struct DataReport {
  std::string benchmark;
  fs::path data;
  std::int64_t images = 0;    ///< unique images and crops
  std::int64_t captions = 0;  ///< unique captions, or classes
  std::vector<PartCount> parts;
  std::int64_t skipped_missing = 0;  ///< cases that cannot be used because an image is missing
  std::vector<fs::path> missing_files;

  /// Whether no image is missing and every count equals the published one.
  [[nodiscard]] bool is_complete() const;
};

/// Loads a whole benchmark and counts. Missing images become part of the report. Any other fault throws as in
/// the benchmark's loader; with `confine`, so does an image outside the folder.
DataReport check_data(const Benchmark& benchmark, const fs::path& data, bool confine = false);

}  // namespace sdsclip

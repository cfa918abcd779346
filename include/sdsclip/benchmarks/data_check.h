#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// One part of a local copy beside the published data set.
struct PartCount {
  std::string name;  ///< the tag of its cases, `all` for all
  std::int64_t cases = 0;
  std::optional<std::int64_t> published;
};

/// What `sdsclip data check BENCHMARK --data DIR` states.
struct DataReport {
  std::string benchmark;
  std::filesystem::path data;
  std::int64_t images = 0;    ///< unique images and crops
  std::int64_t captions = 0;  ///< unique captions, or classes
  std::vector<PartCount> parts;
  std::int64_t skipped_missing = 0;  ///< cases that cannot be used because an image is missing
  std::vector<std::filesystem::path> missing_files;

  /// No image is missing and every count is the published one.
  [[nodiscard]] bool is_complete() const;
};

/// Loads all of a benchmark and counts. Missing images are part of the report; everything else that is wrong
/// throws as the benchmark's loader does; with `confine` an image outside the folder too.
DataReport check_data(const Benchmark& benchmark, const std::filesystem::path& data, bool confine = false);

}  // namespace sdsclip

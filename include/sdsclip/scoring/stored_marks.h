#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The marks of a finished run, case by case: all that comparing two runs needs, without their data and
/// models.
struct StoredMarks {
  std::string scorer;                ///< `clip` or `diffusion`
  std::string benchmark;             ///< its name on the command line
  std::string model_name;            ///< the name in `bundle.json`
  std::string table_sha256;          ///< equal for two runs with the same cases of the same images
  std::vector<MetricMarks> metrics;  ///< in the judge's order; `ties` is not stored and is 0
};

/// Reads the marks of a `scores.sqlite`. Throws `Error(kInput)` if the file is missing, damaged or not a
/// score store of this version, or if the run has not been judged.
StoredMarks read_stored_marks(const std::filesystem::path& path);

}  // namespace sdsclip

#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// How a finished run was judged, case by case: what comparing two runs needs, without their data and models.
struct StoredMarks {
  std::string scorer;        ///< `clip` or `diffusion`
  std::string benchmark;     ///< as on the command line
  std::string model_name;    ///< as in its `bundle.json`
  std::string table_sha256;  ///< equal for two runs where they were asked the same cases of the same images
  std::vector<MetricMarks> metrics;  ///< in the order of the judge; `ties` is not stored and 0
};

/// Reads the marks of `scores.sqlite`. Throws `Error(kInput)` where the file is missing, damaged, no score
/// store of this version, or of a run that has not been judged.
StoredMarks read_stored_marks(const std::filesystem::path& path);

}  // namespace sdsclip

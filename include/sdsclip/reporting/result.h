#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/base/json.h"
#include "sdsclip/base/work_counters.h"
#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

struct ModelIdentity {
  std::string name;    ///< the name in `bundle.json`
  std::string sha256;  ///< digest of the weights that ran, with tuned ones
};

/// A scoring run's `OUT/result.json`, schema 1. Metric values are fractions.
struct RunResult {
  std::string command;    ///< `eval`, `diffusion-score`
  std::string benchmark;  ///< its name on the command line
  ModelIdentity model;
  ordered_json settings;                             ///< every option that can change a value
  std::map<std::string, std::string> versions = {};  ///< of sdsclip and its libraries
  double seconds = 0;                                ///< wall-clock time, with loading
  std::int64_t skipped_missing = 0;                  ///< cases left out because an image is missing
  std::int64_t matches = 0;                          ///< number of image and caption scores; 0 if not known
  double seconds_a_match = 0;                        ///< scoring time without loading, per match, in seconds
  WorkCounters work;
  std::vector<Metric> metrics = {};  ///< in the benchmark's order
};

ordered_json to_json(const RunResult& result);

/// Writes `path` whole or not at all. Throws like `write_file_atomically`, and `std::logic_error` if a value
/// is not finite, which no metric may be.
void write_result(const fs::path& path, const RunResult& result);

/// Reads a result; `skipped_missing`, `matches` and `seconds_a_match` may be missing. Throws `Error(kInput)`
/// that names file and key if the file does not follow schema 1.
RunResult read_result(const fs::path& path);

}  // namespace sdsclip

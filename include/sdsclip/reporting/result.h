#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

struct ModelIdentity {
  std::string name;    ///< as in its `bundle.json`
  std::string sha256;  ///< of the weights that ran, tuned ones included
};

/// What a run had to compute, for comparing the cost of scorers.
struct WorkCounters {
  std::int64_t unet_evaluations = 0;
  std::int64_t vae_encodings = 0;
  std::int64_t text_encodings = 0;
  std::int64_t image_encodings = 0;
};

/// What a scoring run leaves as `OUT/result.json`, schema 1. Metric values are fractions.
struct RunResult {
  std::string command;    ///< `eval`, `diffusion-score`
  std::string benchmark;  ///< as on the command line
  ModelIdentity model;
  nlohmann::ordered_json settings;              ///< every option that can change a value
  std::map<std::string, std::string> versions;  ///< of sdsclip and of the libraries that compute
  double seconds = 0;                           ///< wall clock, loading included
  std::int64_t skipped_missing = 0;             ///< cases left out because an image is missing
  std::int64_t matches = 0;                     ///< images scored with captions; 0 where it is not known
  double seconds_a_match = 0;                   ///< scoring time, loading left out, over `matches`
  WorkCounters work;
  std::vector<Metric> metrics;  ///< in the benchmark's order
};

nlohmann::ordered_json to_json(const RunResult& result);

/// Writes `path` whole or not at all. Throws as `write_file_atomically`; `std::logic_error` on a value that
/// is not finite, which no metric may be.
void write_result(const std::filesystem::path& path, const RunResult& result);

/// Reads it back; `skipped_missing`, `matches` and `seconds_a_match` may be missing. Throws `Error(kInput)`
/// that names the file and the key on anything else than schema 1.
RunResult read_result(const std::filesystem::path& path);

}  // namespace sdsclip

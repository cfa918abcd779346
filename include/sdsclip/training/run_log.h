#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/training/step.h"

namespace sdsclip {

/// Values of a line of `log.jsonl` that are not in the step's result.
struct StepTimes {
  double learning_rate = 0;  ///< of the largest group
  double gradient_norm = 0;  ///< of all trained parameters together, before clipping
  double logit_scale = 0;    ///< the stored logarithm
  double loss_scale = 1;     ///< of float16; 1: not scaled
  bool skipped = false;      ///< whether the step changed nothing: fp16 gradients that are not finite, or
                             ///< L_rank as the only loss and no image with targets
  double images_per_second = 0;
  double wait_share = 0;                   ///< share of the step's time spent waiting for data
  std::int64_t peak_memory_bytes = 0;      ///< peak host memory of the process so far
  std::int64_t peak_gpu_memory_bytes = 0;  ///< peak memory of tensors on the GPU so far; 0 on the CPU
};

/// The line of `OUT/log.jsonl` about one step.
nlohmann::ordered_json step_line(std::int64_t step, const StepResult& result, const StepTimes& times);

/// The line of `OUT/evaluations.jsonl` about one evaluation: every metric as in `result.json`.
nlohmann::ordered_json evaluation_line(std::int64_t step, std::span<const Metric> metrics);

/// The losses of the last line of `OUT/log.jsonl`, without gradients and statistics; zeros if the file has no
/// line. Throws `Error(kInput)` if the line lacks them.
StepResult read_last_losses(const std::filesystem::path& file);

/// The metrics of the last line of `OUT/evaluations.jsonl`; none if the file has no line. Throws
/// `Error(kInput)` if the line lacks them.
std::vector<Metric> read_last_evaluation(const std::filesystem::path& file);

/// Appends to a file of JSON objects, one per line, each with a `step`: `OUT/log.jsonl` has one line per
/// step, `OUT/evaluations.jsonl` one per evaluation. Each line is written at once.
class RunLog {
 public:
  /// Keeps the lines of steps up to `done_steps` and appends after them. Drops the lines that a killed run
  /// wrote after its last checkpoint, and damaged lines with a warning.
  RunLog(const std::filesystem::path& file, std::int64_t done_steps);

  /// Throws `Error(kRuntime)` if the line cannot be written (disk full).
  void write(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

}  // namespace sdsclip

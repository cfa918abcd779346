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

/// What a line of `log.jsonl` says beside the step's result.
struct StepTimes {
  double learning_rate = 0;  ///< of the largest group
  double gradient_norm = 0;  ///< of all trained parameters together, before clipping
  double logit_scale = 0;    ///< the stored logarithm
  double loss_scale = 1;     ///< of float16; 1: not scaled
  bool skipped = false;      ///< nothing was changed: gradients that were not finite in float16, or a batch
                             ///< without a rank target where L_rank is the only loss
  double images_per_second = 0;
  double wait_share = 0;                   ///< of the step's time, waiting for data
  std::int64_t peak_memory_bytes = 0;      ///< of the process so far, in the machine's own memory
  std::int64_t peak_gpu_memory_bytes = 0;  ///< of the tensors on a GPU so far; 0: on the CPU
};

/// The line of `OUT/log.jsonl` about one step.
nlohmann::ordered_json step_line(std::int64_t step, const StepResult& result, const StepTimes& times);

/// The line of `OUT/evaluations.jsonl` about one evaluation: every metric as in `result.json`.
nlohmann::ordered_json evaluation_line(std::int64_t step, std::span<const Metric> metrics);

/// The losses of the last line of `OUT/log.jsonl`, without gradients and statistics; zero where there is no
/// line. Throws `Error(kInput)` where the line says nothing of them; likewise below.
StepResult read_last_losses(const std::filesystem::path& file);

/// The metrics of the last line of `OUT/evaluations.jsonl`; none where there is no line.
std::vector<Metric> read_last_evaluation(const std::filesystem::path& file);

/// A file of JSON objects, one a line, each with a `step`: `OUT/log.jsonl` has a line a step,
/// `OUT/evaluations.jsonl` one an evaluation. Written as they come.
class RunLog {
 public:
  /// Keeps the lines of steps up to `done_steps`, drops what a killed run wrote after its last checkpoint
  /// and, with a warning, damaged lines, and appends.
  RunLog(const std::filesystem::path& file, std::int64_t done_steps);

  /// Throws `Error(kRuntime)` where the line cannot be written (disk full).
  void write(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

/// The process's peak resident memory; 0 where the system does not tell.
std::int64_t peak_memory_bytes();

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "sdsclip/training/step.h"

namespace sdsclip {

/// What a line of `log.jsonl` says beside the step's result.
struct StepTimes {
  double learning_rate = 0;  ///< of the largest group
  double gradient_norm = 0;  ///< of all trained parameters together, before clipping
  double logit_scale = 0;    ///< the stored logarithm
  double images_per_second = 0;
  double wait_share = 0;               ///< of the step's time, waiting for data
  std::int64_t peak_memory_bytes = 0;  ///< of the process so far
};

/// `OUT/log.jsonl`: a line a step, written as the steps are done.
class RunLog {
 public:
  /// Keeps the lines of steps up to `done_steps`, drops what a killed run wrote after its last checkpoint,
  /// and appends.
  RunLog(const std::filesystem::path& file, std::int64_t done_steps);

  /// Throws `Error(kRuntime)` where the line cannot be written (disk full).
  void write(std::int64_t step, const StepResult& result, const StepTimes& times);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

/// The process's peak resident memory; 0 where the system does not tell.
std::int64_t peak_memory_bytes();

}  // namespace sdsclip

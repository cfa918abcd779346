#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/training/config.h"
#include "sdsclip/training/step.h"

namespace sdsclip {

/// What a training run needs beside its configuration. None of it changes the results.
struct TrainRun {
  std::filesystem::path out;  ///< created; holds config.yaml, log.jsonl, checkpoints/, tuned.safetensors
  bool resume = false;        ///< continue the run in `out`, if there is one
  bool quiet = false;         ///< no progress bar
  std::string device = "auto";
  std::int64_t threads = 0;  ///< CPU threads; 0: one per core
};

/// The outcome of a finished run.
struct TrainSummary {
  std::int64_t steps = 0;               ///< steps done, with those before a resume
  std::int64_t steps_this_process = 0;  ///< steps since the start or the last resume
  std::int64_t trained_parameters = 0;  ///< trainable parameters, with h_w's
  StepResult last;                      ///< the last step's losses
  std::vector<Metric> evaluation;       ///< the last evaluation's metrics; empty without `evaluate`
  std::int64_t best_step = -1;          ///< step of the best evaluation; -1: there was none
  std::int64_t bad_samples = 0;         ///< samples replaced since the start or the last resume
  double seconds = 0;                   ///< time since the start or the last resume
  double wait_share = 0;                ///< share of `seconds` spent waiting for data
  WorkCounters work;                    ///< since the start or the last resume
  std::string teacher_graph;            ///< `compiled` or `torchscript`; empty without L_SDS
};

/// The options of step number `step`, counted from 0. `loss_scale` is left at 1.
StepOptions step_options(const TrainConfig& config, std::int64_t step);

/// Algorithm 1 of the paper: fine-tunes CLIP with L_CLIP + lambda L_SDS and writes the run's files
/// (docs/runs.md) into `run.out`. It writes checkpoints on the way, and on SIGINT or SIGTERM (then it throws
/// `Error(kInterrupted)`). The same configuration, device and number of threads give the same bits, however
/// often the run was killed and resumed.
///
/// Throws `Error(kUsage)` if the configuration is invalid, if `out` holds another run, or if L_SDS reaches no
/// trained parameter of CLIP. Throws `Error(kInput)` on bad bundles or data, and `Error(kRuntime)` if a loss
/// is not finite.
TrainSummary train(const TrainConfig& config, const TrainRun& run);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// The section `evaluate` of a configuration: benchmarks that the student is scored on while it trains.
struct EvaluateOptions {
  std::vector<std::string> benchmarks = {};  ///< as `sdsclip eval` names them; empty: no evaluation
  std::string data = {};    ///< folder that holds a folder a benchmark; empty: SDSCLIP_DATA, by default data
  std::int64_t limit = 0;   ///< first cases of each part; 0: all
  std::string metric = {};  ///< that "best" and `patience` go by; empty: the first benchmark's first headline
  std::int64_t patience = 0;  ///< evaluations in a row without a better value before training stops; 0: never
};
void visit_options(OptionVisitor& visitor, EvaluateOptions& options);

/// Throws `Error(kUsage)` on an unknown benchmark, and where options need a benchmark and none is named.
void check_evaluate_options(const EvaluateOptions& options);

/// The metric that "best" goes by.
std::string deciding_metric(const EvaluateOptions& options);

/// The benchmarks of `EvaluateOptions`, read once and kept while training runs.
class Evaluation {
 public:
  /// Throws `Error(kUsage)` where the data is not there and where it does not give `evaluate.metric`,
  /// `Error(kInput)` where it is malformed.
  explicit Evaluation(const EvaluateOptions& options);
  ~Evaluation();
  Evaluation(Evaluation&&) noexcept;
  Evaluation& operator=(Evaluation&&) noexcept;

  /// Of the metrics that `run` gives, known without a model: which there are depends on the cases alone.
  [[nodiscard]] std::vector<std::string> metric_names() const;

  /// The metrics of the model as it is now, all benchmarks' in order. `scratch` is a folder for the scores
  /// meanwhile; it is removed afterwards. Throws what scoring throws, `Error(kInterrupted)` too.
  [[nodiscard]] std::vector<Metric> run(const ClipModel& model, const std::filesystem::path& scratch) const;

 private:
  struct Task;
  std::vector<Task> tasks_;
};

}  // namespace sdsclip

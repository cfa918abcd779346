#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/data/loader.h"
#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// The configuration section `evaluate`: benchmarks that score the student during training.
struct EvaluateOptions {
  std::vector<std::string> benchmarks = {};
  std::string data = {};
  std::int64_t limit = 0;
  std::string metric = {};
  std::int64_t patience = 0;
};
void visit_options(OptionVisitor& visitor, EvaluateOptions& options);

/// Throws `Error(kUsage)` if a benchmark is unknown, or if options need a benchmark and none is named.
void check_evaluate_options(const EvaluateOptions& options);

/// The metric for best-checkpoint selection and early stopping.
std::string deciding_metric(const EvaluateOptions& options);

/// The benchmarks of `EvaluateOptions`, read once and kept during training.
class Evaluation {
 public:
  /// `data.convert` and `data.confine` apply to the benchmarks' images too. Throws `Error(kUsage)` if the
  /// data is missing or does not give `evaluate.metric`, and `Error(kInput)` if it is malformed.
  explicit Evaluation(const EvaluateOptions& options, const DataOptions& data = {});
  ~Evaluation();
  Evaluation(Evaluation&&) noexcept;
  Evaluation& operator=(Evaluation&&) noexcept;

  /// The names of the metrics that `run` returns. They depend on the cases alone, so no model is needed.
  [[nodiscard]] std::vector<std::string> metric_names() const;

  /// Evaluates the model with its current weights; returns the metrics of all benchmarks in order. `scratch`
  /// is a folder for temporary scores, removed afterwards. Throws what scoring throws, including
  /// `Error(kInterrupted)`.
  [[nodiscard]] std::vector<Metric> run(const ClipModel& model, const std::filesystem::path& scratch) const;

 private:
  struct Task;
  std::vector<Task> tasks_;
  ConvertOrder convert_ = ConvertOrder::kFirst;
};

}  // namespace sdsclip

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sdsclip/base/error.h"

#include "sdsclip/models/clip_model.h"
#include "sdsclip/training/config.h"

namespace sdsclip {

/// The share of the peak learning rate at `step` of `total`: linear warm-up, then a cosine to zero or a
/// constant (open_clip's `cosine_lr`, `const_lr`). The first step is number 0.
double learning_rate_factor(const TrainOptions& options, std::int64_t step, std::int64_t total);

/// A tensor of a run holds a number that is not finite. The message names it.
class NotFiniteError : public Error {
 public:
  explicit NotFiniteError(const std::string& message) : Error(ExitCode::kRuntime, message) {}
};

/// Throws `NotFiniteError` that names the first tensor with an infinity or a NaN in it.
void check_finite_tensors(const std::vector<NamedTensor>& tensors);

/// AdamW (LibTorch's) over the trained tensors, in open_clip's groups: no weight decay on tensors of fewer
/// than two dimensions nor on norms, biases and the temperature. h_w (`sds.h_w.*`, `feature.h_w.*`) has a
/// learning rate of its own.
class Optimizer {
 public:
  Optimizer(const std::vector<NamedTensor>& trained, const TrainOptions& options);
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  /// Updates the tensors from their `.grad` at `factor` times the peak rates, and clears the gradients.
  /// Tensors without a gradient stay as they are. Returns the norm of all gradients before clipping. Where it
  /// is not finite, throws `NotFiniteError` that names the tensor, and nothing is changed.
  double step(double factor);

  /// Clears the gradients without an update.
  void drop_gradients();

  /// The optimizer's memory as named tensors (`exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME`) and back; other
  /// names are not looked at. A tensor's three are there together or, where it had no gradient yet, not at
  /// all. Throws `Error(kInput)` on ones that cannot be its memory, and nothing is changed then.
  [[nodiscard]] std::vector<NamedTensor> state() const;
  void restore(const std::vector<NamedTensor>& state);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip

#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/error.h"

#include "sdsclip/models/clip_model.h"
#include "sdsclip/training/config.h"

namespace sdsclip {

/// The learning rate at `step` (from 0) of `total`, as a share of the peak: linear warm-up, then cosine decay
/// to zero or a constant (open_clip's `cosine_lr`, `const_lr`).
double learning_rate_factor(const TrainOptions& options, std::int64_t step, std::int64_t total);

/// A tensor of a run holds a value that is not finite. The message names the tensor.
class NotFiniteError : public Error {
 public:
  explicit NotFiniteError(const std::string& message) : Error(ExitCode::kRuntime, message) {}
};

/// Throws `NotFiniteError` that names the first tensor with an infinity or a NaN.
void check_finite_tensors(const std::vector<NamedTensor>& tensors);

/// LibTorch's fused AdamW over the trained tensors, in open_clip's groups: no weight decay on tensors of fewer than
/// two dimensions, norms, biases and the temperature. h_w (`sds.h_w.*`, `feature.h_w.*`) has its own learning
/// rate.
class Optimizer {
 public:
  Optimizer(const std::vector<NamedTensor>& trained, const TrainOptions& options);
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  /// The norm of each tensor's gradient, f32[tensors]; 0 without one. The next call overwrites it.
  at::Tensor gradient_norms();

  /// Queues the update of the tensors from their `.grad` with the peak rates times `factor`, and clears the
  /// gradients. Tensors without a gradient are not changed. `norm` f32[] is that of all gradients, for
  /// clipping. Nothing changes if a number in `finite` f32[n] is not finite, which the device decides: then
  /// the result f32[] is 1, otherwise 0.
  at::Tensor step(double factor, const at::Tensor& finite, const at::Tensor& norm);

  /// Returns `norm`, that of all gradients. If it is not finite, throws `NotFiniteError` that names the tensor
  /// by the values of `gradient_norms`.
  [[nodiscard]] double checked_norm(double norm, std::span<const double> norms) const;

  /// Clears the gradients without an update.
  void drop_gradients();

  /// Saves and restores the optimizer's state as named tensors (`exp_avg.NAME`, `exp_avg_sq.NAME`,
  /// `step.NAME`); other names are ignored. A tensor has all three, or none if it had no gradient yet.
  /// `restore` throws `Error(kInput)` and changes nothing if a tensor does not fit a run of `steps` steps.
  [[nodiscard]] std::vector<NamedTensor> state() const;
  void restore(const std::vector<NamedTensor>& state, std::int64_t steps);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip

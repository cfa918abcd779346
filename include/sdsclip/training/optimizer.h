#pragma once

#include <memory>
#include <vector>

#include "sdsclip/models/clip_model.h"
#include "sdsclip/training/config.h"

namespace sdsclip {

/// The share of the peak learning rate at `step` of `total`: linear warm-up, then a cosine to zero or a
/// constant (open_clip's `cosine_lr`, `const_lr`). The first step is number 0.
double learning_rate_factor(const TrainOptions& options, std::int64_t step, std::int64_t total);

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
  /// Tensors without a gradient stay as they are. Returns the norm of all gradients before clipping.
  double step(double factor);

  /// Clears the gradients without an update.
  void drop_gradients();

  /// The optimizer's memory as named tensors (`exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME`) and back.
  [[nodiscard]] std::vector<NamedTensor> state() const;
  void restore(const std::vector<NamedTensor>& state);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip

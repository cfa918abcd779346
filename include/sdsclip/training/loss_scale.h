#pragma once

#include <cstdint>
#include <vector>

#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// The factor that scales the loss in fp16 training, so that small gradients do not vanish: torch's
/// `GradScaler` with its defaults (Micikevicius et al., "Mixed Precision Training", 2018, section 3.2). In
/// other precisions it stays 1.
struct LossScale {
  double value = 1;             ///< the factor
  std::int64_t good_steps = 0;  ///< steps in a row whose gradients were finite
};

/// The first scale: 2^16 for fp16, else 1.
LossScale first_loss_scale(Precision precision);

/// Whether that many steps of a run of that precision can have led to the scale.
bool is_possible(const LossScale& scale, Precision precision, std::int64_t steps);

/// The scale on the device, which does not wait for the host.
class DeviceLossScale {
 public:
  DeviceLossScale(const LossScale& scale, c10::Device device);

  /// f32[]. A copy: `unscale` changes the original.
  [[nodiscard]] at::Tensor value() const { return value_.clone(); }

  /// Divides the tensors' gradients by the scale, and updates the scale like `update_loss_scale`. Returns
  /// f32[]: 0 if all gradients are finite, otherwise 1.
  at::Tensor unscale(const std::vector<NamedTensor>& trained);

 private:
  at::Tensor value_;
  at::Tensor good_steps_;
};

/// The host's copy of the scale: halves it after non-finite gradients, and doubles it after 2,000 steps in a
/// row with finite ones. Throws `Error(kRuntime)` if gradients are not finite at any scale.
void update_loss_scale(LossScale& scale, bool finite);

}  // namespace sdsclip

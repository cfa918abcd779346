#pragma once

#include <cstdint>
#include <vector>

#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// The factor by which float16 training scales its loss, so that small gradients do not vanish: torch's
/// `GradScaler` (Micikevicius et al., "Mixed Precision Training", 2018, section 3.2), with its defaults. In
/// other precisions it is 1 and stays so.
struct LossScale {
  double value = 1;             ///< the factor
  std::int64_t good_steps = 0;  ///< steps in a row whose gradients were finite
};

/// What float16 starts with: 2^16.
LossScale first_loss_scale(Precision precision);

/// Divides the tensors' gradients by the scale. Whether all are finite then.
bool unscale_gradients(const std::vector<NamedTensor>& trained, const LossScale& scale);

/// Halves the scale after gradients that were not finite, doubles it after 2,000 steps in a row that were.
/// Throws `Error(kRuntime)` where no scale helps.
void update_loss_scale(LossScale& scale, bool finite);

}  // namespace sdsclip

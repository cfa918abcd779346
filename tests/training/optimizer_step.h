#pragma once

#include <ATen/ATen.h>

#include "sdsclip/training/optimizer.h"

namespace sdsclip::testing {

/// A step as in training, but the host waits for the norm and checks it.
inline double step_of(Optimizer& optimizer) {
  const at::Tensor norms = optimizer.gradient_norms().clone();
  const at::Tensor norm = norms.norm();
  optimizer.step(1.0, norm.view({1}), norm);
  const at::Tensor values = norms.to(at::kDouble);
  return optimizer.checked_norm(norm.item<double>(),
                                {values.data_ptr<double>(), static_cast<std::size_t>(values.numel())});
}

}  // namespace sdsclip::testing

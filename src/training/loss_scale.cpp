#include "sdsclip/training/loss_scale.h"

#include <ATen/ATen.h>

#include <cmath>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

constexpr double kFirstScale = 65536;
constexpr double kLeastScale = 1.0 / 65536;
constexpr std::int64_t kGrowthInterval = 2000;

}  // namespace

LossScale first_loss_scale(Precision precision) {
  return {.value = precision == Precision::kFp16 ? kFirstScale : 1.0};
}

bool is_possible(const LossScale& scale, Precision precision, std::int64_t steps) {
  if (precision != Precision::kFp16) return scale.value == 1 && scale.good_steps == 0;
  const double doublings = static_cast<double>(steps / kGrowthInterval);
  const double power = std::log2(scale.value);  // not a number, or minus infinity, below 0
  return power == std::floor(power) && scale.value >= kLeastScale &&
         power <= std::log2(kFirstScale) + doublings && scale.good_steps >= 0 &&
         scale.good_steps < kGrowthInterval && scale.good_steps <= steps;
}

bool unscale_gradients(const std::vector<NamedTensor>& trained, const LossScale& scale) {
  const at::NoGradGuard no_grad;
  bool finite = true;
  for (const NamedTensor& tensor : trained) {
    at::Tensor gradient = tensor.second.grad();
    if (!gradient.defined()) continue;
    gradient.mul_(1.0 / scale.value);
    finite = finite && at::isfinite(gradient).all().item<bool>();
  }
  return finite;
}

void update_loss_scale(LossScale& scale, bool finite) {
  if (!finite) {
    scale = {.value = scale.value / 2};
    if (scale.value < kLeastScale) {
      throw runtime_failure(
          "the fp16 gradients are not finite at any loss scale; use train.precision=bf16 or "
          "fp32, or a lower train.lr");
    }
    return;
  }
  if (++scale.good_steps == kGrowthInterval) scale = {.value = scale.value * 2};
}

}  // namespace sdsclip

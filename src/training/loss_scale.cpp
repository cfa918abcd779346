#include "sdsclip/training/loss_scale.h"

#include <ATen/ATen.h>

#include <cmath>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

constexpr double kFirstScale = 65536;
constexpr double kLeastScale = 1.0 / 65536;
constexpr double kGrowth = 2;
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

DeviceLossScale::DeviceLossScale(const LossScale& scale, c10::Device device)
    : value_(at::full({}, scale.value, at::TensorOptions(at::kFloat).device(device))),
      good_steps_(at::full({}, scale.good_steps, at::TensorOptions(at::kInt).device(device))) {}

at::Tensor DeviceLossScale::unscale(const std::vector<NamedTensor>& trained) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const NamedTensor& tensor : trained) {
    if (tensor.second.grad().defined()) gradients.push_back(tensor.second.grad());
  }
  at::Tensor not_finite = at::zeros_like(value_);
  if (!gradients.empty()) {
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, not_finite, value_.reciprocal());
  }
  at::_amp_update_scale_(value_, good_steps_, not_finite, kGrowth, 1 / kGrowth, kGrowthInterval);
  return not_finite;
}

void update_loss_scale(LossScale& scale, bool finite) {
  if (!finite) {
    scale = {.value = scale.value / kGrowth};
    if (scale.value < kLeastScale) {
      throw runtime_failure(
          "the fp16 gradients are not finite at any loss scale; use train.precision=bf16 or "
          "fp32, or a lower train.lr");
    }
    return;
  }
  if (++scale.good_steps == kGrowthInterval) scale = {.value = scale.value * kGrowth};
}

}  // namespace sdsclip

#include "sdsclip/training/loss_scale.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <cmath>
#include <limits>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

// torch.amp.GradScaler's defaults: init_scale 65536, growth_factor 2, backoff_factor 0.5, growth_interval
// 2000.
TEST(LossScale, GrowsAndShrinksLikeTorchsGradScaler) {
  LossScale scale = first_loss_scale(Precision::kFp16);
  EXPECT_EQ(scale.value, 65536);
  for (int step = 0; step < 1999; ++step) update_loss_scale(scale, true);
  EXPECT_EQ(scale.value, 65536);
  update_loss_scale(scale, true);
  EXPECT_EQ(scale.value, 131072);
  EXPECT_EQ(scale.good_steps, 0);
  for (int step = 0; step < 5; ++step) update_loss_scale(scale, true);
  update_loss_scale(scale, false);
  EXPECT_EQ(scale.value, 65536);
  EXPECT_EQ(scale.good_steps, 0);
}

TEST(LossScale, IsOneInOtherPrecisions) {
  EXPECT_EQ(first_loss_scale(Precision::kFp32).value, 1);
  EXPECT_EQ(first_loss_scale(Precision::kBf16).value, 1);
}

TEST(LossScale, GivesUpIfNoScaleHelps) {
  LossScale scale = first_loss_scale(Precision::kFp16);
  expect_error(ExitCode::kRuntime, {"fp16", "bf16"}, [&] {
    while (true) update_loss_scale(scale, false);
  });
}

// The host's copy and the device's scale must agree at every step.
TEST(DeviceLossScale, DividesEachGradientAndFollowsTheHostsScale) {
  const at::Tensor a = torch::zeros({2}).set_requires_grad(true);
  const at::Tensor b = torch::zeros({1}).set_requires_grad(true);
  const std::vector<NamedTensor> trained = {
      {"a", a}, {"b", b}, {"c", torch::zeros({1}).set_requires_grad(true)}};
  LossScale host = {.value = 4, .good_steps = 1999};
  DeviceLossScale scale(host, at::kCPU);
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float last : {2.0F, infinity, 2.0F, std::numeric_limits<float>::quiet_NaN()}) {
    const float before = static_cast<float>(host.value);
    at::Tensor(a).mutable_grad() = torch::tensor({8.0F, -4.0F});
    at::Tensor(b).mutable_grad() = torch::tensor({last});
    const bool is_finite = std::isfinite(last);
    EXPECT_EQ(scale.unscale(trained).item<float>(), is_finite ? 0 : 1);
    update_loss_scale(host, is_finite);
    EXPECT_EQ(scale.value().item<double>(), host.value);
    if (!is_finite) continue;
    EXPECT_TRUE(torch::equal(a.grad(), torch::tensor({8.0F, -4.0F}) / before));
    EXPECT_TRUE(torch::equal(b.grad(), torch::tensor({last}) / before));
  }
}

TEST(LossScale, IsOneThatSoManyStepsCanHaveMade) {
  EXPECT_TRUE(is_possible({.value = 1}, Precision::kFp32, 5000));
  EXPECT_FALSE(is_possible({.value = 65536}, Precision::kBf16, 5000));
  for (const double value : {65536.0, 32768.0, 1.0 / 65536, 262144.0}) {
    EXPECT_TRUE(is_possible({.value = value, .good_steps = 1999}, Precision::kFp16, 5000)) << value;
  }
  for (const double value : {0.0, -1.0, 3.0, 1.0 / 131072, 524288.0, 1e300}) {
    EXPECT_FALSE(is_possible({.value = value}, Precision::kFp16, 5000)) << value;
  }
  EXPECT_FALSE(is_possible({.value = 65536, .good_steps = -1}, Precision::kFp16, 5000));
  EXPECT_FALSE(is_possible({.value = 65536, .good_steps = 2000}, Precision::kFp16, 5000));
  EXPECT_FALSE(is_possible({.value = 65536, .good_steps = 4}, Precision::kFp16, 3));
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/models/noise_schedule.h"

#include <gtest/gtest.h>
#include <torch/script.h>

namespace sdsclip {
namespace {

// diffusers 0.42.1, DDPMScheduler(beta_schedule=..., beta_start=0.00085, beta_end=0.012).alphas_cumprod at 0,
// 499, 999.
TEST(AlphasCumprod, EqualDiffusersForTheScaledLinearSchedule) {
  const at::Tensor values = alphas_cumprod({});
  ASSERT_EQ(values.numel(), 1000);
  EXPECT_NEAR(values[0].item<double>(), 0.9991499781608582, 1e-7);
  EXPECT_NEAR(values[499].item<double>(), 0.27766942977905273, 1e-6);
  EXPECT_NEAR(values[999].item<double>(), 0.00466009508818388, 1e-8);
}

TEST(AlphasCumprod, OfALinearScheduleAreTheHandWorkedProducts) {
  const BundleSchedule schedule{"linear", 0.1, 0.3, 3};
  const at::Tensor values = alphas_cumprod(schedule);
  EXPECT_NEAR(values[0].item<double>(), 0.9, 1e-6);
  EXPECT_NEAR(values[1].item<double>(), 0.9 * 0.8, 1e-6);
  EXPECT_NEAR(values[2].item<double>(), 0.9 * 0.8 * 0.7, 1e-6);
}

TEST(NoiseFromVelocity, UndoesTheVelocityOfANoisedLatent) {
  torch::manual_seed(1);
  const at::Tensor abar = alphas_cumprod({});
  const at::Tensor z = torch::randn({3, 4, 2, 2});
  const at::Tensor noise = torch::randn({3, 4, 2, 2});
  const at::Tensor t = torch::tensor({10, 500, 990}, at::kLong);
  const at::Tensor noised = add_noise(z, noise, t, abar);
  EXPECT_TRUE(
      torch::allclose(noise_from_velocity(velocity(z, noise, t, abar), noised, t, abar), noise, 1e-4, 1e-5));
}

}  // namespace
}  // namespace sdsclip

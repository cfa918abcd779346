#include "sdsclip/training/optimizer.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/expect_error.h"
#include "training/optimizer_step.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::step_of;

at::Tensor parameter(const std::vector<float>& values) {
  return torch::tensor(values).set_requires_grad(true);
}

void set_gradient(at::Tensor tensor, const std::vector<float>& values) {
  tensor.mutable_grad() = torch::tensor(values);
}

TrainOptions plain_options() {
  TrainOptions options;
  options.lr = 0.1;
  options.weight_decay = 0;
  options.schedule = LearningRateSchedule::kConstant;
  return options;
}

// AdamW's first step moves every number by the rate against its gradient's sign (Loshchilov and Hutter,
// 2019).
TEST(Optimizer, FirstStepIsTheRateAgainstTheSign) {
  const at::Tensor tensor = parameter({1.0F, -2.0F});
  Optimizer optimizer({{"ln.weight", tensor}}, plain_options());
  set_gradient(tensor, {0.3F, -4.0F});
  EXPECT_NEAR(step_of(optimizer), std::hypot(0.3, 4.0), 1e-5);
  EXPECT_TRUE(torch::allclose(tensor.detach(), torch::tensor({0.9F, -1.9F}), 1e-5, 1e-5));
  EXPECT_FALSE(tensor.grad().defined());
}

TEST(Optimizer, DecaysOnlyMatricesAndGivesTheMapItsOwnRate) {
  TrainOptions options = plain_options();
  options.weight_decay = 0.5;
  options.lr_h_w = 0.2;
  const at::Tensor matrix = torch::ones({1, 1}).set_requires_grad(true);
  const at::Tensor norm = torch::ones({1}).set_requires_grad(true);
  const at::Tensor map_bias = torch::ones({1}).set_requires_grad(true);
  Optimizer optimizer({{"proj", matrix}, {"ln_1.weight", norm}, {"sds.h_w.bias", map_bias}}, options);
  for (at::Tensor tensor : {matrix, norm, map_bias}) tensor.mutable_grad() = torch::ones_like(tensor);
  step_of(optimizer);
  EXPECT_NEAR(matrix.item<double>(), 1.0 - 0.1 * 0.5 - 0.1, 1e-5);
  EXPECT_NEAR(norm.item<double>(), 0.9, 1e-5);
  EXPECT_NEAR(map_bias.item<double>(), 0.8, 1e-5);
}

TEST(Optimizer, ClipsToTheLargestNorm) {
  TrainOptions options = plain_options();
  options.grad_clip_norm = 1.0;
  options.epsilon = 1.0;  // so that the size of the gradient counts
  const at::Tensor tensor = parameter({0.0F, 0.0F});
  Optimizer optimizer({{"w", tensor}}, options);
  set_gradient(tensor, {3.0F, 4.0F});
  EXPECT_NEAR(step_of(optimizer), 5.0, 1e-5);
  EXPECT_NEAR(tensor[0].item<double>(), -0.1 * 0.6 / (0.6 + 1.0), 1e-4);
}

TEST(Optimizer, ContinuesWithTheSameBitsWhenRestored) {
  const at::Tensor a = parameter({1.0F, 2.0F});
  const at::Tensor b = parameter({1.0F, 2.0F});
  Optimizer first({{"w", a}}, plain_options());
  const auto step = [](Optimizer& optimizer, const at::Tensor& tensor, float gradient) {
    set_gradient(tensor, {gradient, -2 * gradient});
    step_of(optimizer);
  };
  step(first, a, 0.5F);
  step(first, a, -0.25F);
  {
    const at::NoGradGuard no_grad;
    at::Tensor target = b;
    target.copy_(a);
  }
  Optimizer second({{"w", b}}, plain_options());
  second.restore(first.state(), 2);
  for (const float gradient : {0.1F, 0.7F, -0.3F}) {
    step(first, a, gradient);
    step(second, b, gradient);
  }
  EXPECT_TRUE(torch::equal(a, b));
}

TEST(Optimizer, RefusesAGradientThatIsNotFiniteAndChangesNothing) {
  for (const double clip : {0.0, 1.0}) {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 3e38F}) {
      TrainOptions options = plain_options();
      options.grad_clip_norm = clip;
      const at::Tensor good = parameter({1.0F, 2.0F});
      const at::Tensor tensor = parameter({1.0F, 2.0F});
      Optimizer optimizer({{"ln.weight", good}, {"ln.bias", tensor}}, options);
      set_gradient(good, {0.5F, 0.5F});
      set_gradient(tensor, {0.5F, bad});
      expect_error(ExitCode::kRuntime, {"gradient", "'ln.bias'"}, [&] { step_of(optimizer); });
      for (const at::Tensor& kept : {good, tensor}) {
        EXPECT_TRUE(torch::equal(kept.detach(), torch::tensor({1.0F, 2.0F})));
      }
      EXPECT_TRUE(optimizer.state().empty());
    }
  }
}

TEST(Optimizer, WithoutAnyGradientChangesNothing) {
  TrainOptions options = plain_options();
  options.weight_decay = 0.5;
  const at::Tensor matrix = torch::ones({2, 2}).set_requires_grad(true);
  Optimizer optimizer({{"proj", matrix}}, options);
  EXPECT_EQ(step_of(optimizer), 0);
  EXPECT_TRUE(torch::equal(matrix.detach(), torch::ones({2, 2})));
}

TEST(Optimizer, RefusesAStateThatCannotBeItsOwn) {
  const at::Tensor tensor = parameter({1.0F, 2.0F});
  Optimizer optimizer({{"w", tensor}}, plain_options());
  set_gradient(tensor, {0.5F, -0.5F});
  step_of(optimizer);
  const std::vector<NamedTensor> good = optimizer.state();
  const auto with = [&](const std::string& name, const at::Tensor& value) {
    std::vector<NamedTensor> state;
    for (const NamedTensor& entry : good) {
      if (entry.first != name) {
        state.push_back(entry);
      } else if (value.defined()) {
        state.emplace_back(name, value);
      }
    }
    return state;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<NamedTensor>& bad :
       {with("exp_avg.w", at::Tensor()), with("exp_avg_sq.w", at::Tensor()), with("step.w", at::Tensor()),
        with("exp_avg.w", torch::zeros({3})), with("exp_avg_sq.w", torch::zeros({2, 1})),
        with("exp_avg_sq.w", torch::zeros({2}, torch::kLong)), with("exp_avg.w", torch::tensor({0.0F, nan})),
        with("exp_avg_sq.w", torch::tensor({0.0F, -1.0F})), with("step.w", torch::tensor({-1}, torch::kLong)),
        with("step.w", torch::tensor({1.0F})), with("step.w", torch::tensor({1, 2}, torch::kLong)),
        with("step.w", torch::tensor({2}, torch::kLong))}) {
    expect_error(ExitCode::kInput, {"'w'"}, [&] { optimizer.restore(bad, 1); });
    const std::vector<NamedTensor> kept = optimizer.state();
    ASSERT_EQ(kept.size(), good.size());
    for (std::size_t i = 0; i < kept.size(); ++i)
      EXPECT_TRUE(torch::equal(kept[i].second, good[i].second)) << kept[i].first;
  }
}

// open_clip's cosine_lr at warm-up 2 of 10 steps: base * (step + 1) / warm-up, then half a cosine over the
// rest.
TEST(LearningRateFactor, WarmsUpAndFallsAsACosine) {
  TrainOptions options;
  options.warmup_steps = 2;
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 0, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 1, 10), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 2, 10), 1.0);
  EXPECT_NEAR(learning_rate_factor(options, 6, 10), 0.5, 1e-12);
  options.schedule = LearningRateSchedule::kConstant;
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 9, 10), 1.0);
}

}  // namespace
}  // namespace sdsclip

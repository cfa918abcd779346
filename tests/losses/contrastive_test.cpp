#include "sdsclip/losses/contrastive.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <cmath>

namespace sdsclip {
namespace {

// Worked by hand: two orthogonal pairs, logit scale 2. Each row and column has logits (2, 0) with the match
// first, so every cross entropy is log(1 + e^-2).
TEST(ContrastiveLoss, OfTwoOrthogonalPairsIsTheHandWorkedValue) {
  const at::Tensor images = torch::tensor({{3.0F, 0.0F}, {0.0F, 0.5F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 7.0F}});
  const at::Tensor logit_scale = torch::tensor(std::log(2.0F));
  EXPECT_NEAR(contrastive_loss(images, texts, logit_scale).item<double>(), std::log1p(std::exp(-2.0)), 1e-6);
}

// Rows see the further texts, columns do not: rows have logits (s, 0, s) and (0, s, 0), columns (s, 0) and
// (0, s).
TEST(ContrastiveLoss, CountsFurtherTextsInRowsOnly) {
  const at::Tensor images = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}, {1.0F, 0.0F}});
  const double s = 3.0;
  const at::Tensor logit_scale = torch::tensor(std::log(3.0F));
  const double first_row = -s + std::log(2 * std::exp(s) + 1);
  const double second_row = -s + std::log(std::exp(s) + 2);
  const double column = -s + std::log(std::exp(s) + 1);
  EXPECT_NEAR(contrastive_loss(images, texts, logit_scale).item<double>(),
              ((first_row + second_row) / 2 + column) / 2, 1e-6);
}

// Worked by hand: scale 2, bias -1, two orthogonal pairs. The matching logits are 1, the others -1 with the
// sign -1, so each of the four terms is log(1 + e^-1); their sum is divided by the two images.
TEST(SigmoidContrastiveLoss, OfTwoOrthogonalPairsIsTheHandWorkedValue) {
  const at::Tensor images = torch::tensor({{3.0F, 0.0F}, {0.0F, 0.5F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 7.0F}});
  const at::Tensor scale = torch::tensor(std::log(2.0F));
  const at::Tensor bias = torch::tensor(-1.0F);
  EXPECT_NEAR(sigmoid_contrastive_loss(images, texts, scale, bias).item<double>(),
              4 * std::log1p(std::exp(-1.0)) / 2, 1e-6);
}

// The third text matches neither image: cosines 1 and 0, logits 1 and -1, both with the sign -1.
TEST(SigmoidContrastiveLoss, CountsEachHardNegativeAsAPairThatDoesNotMatch) {
  const at::Tensor images = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}, {1.0F, 0.0F}});
  const at::Tensor scale = torch::tensor(std::log(2.0F)).reshape({1});
  const at::Tensor bias = torch::tensor(-1.0F).reshape({1});
  const double low = std::log1p(std::exp(-1.0));
  const double high = std::log1p(std::exp(1.0));
  EXPECT_NEAR(sigmoid_contrastive_loss(images, texts, scale, bias).item<double>(), (5 * low + high) / 2,
              1e-6);
}

// By hand: d/db of -log sigmoid(y (s cos + b)) is -y sigmoid(-y (s cos + b)).
TEST(SigmoidContrastiveLoss, GivesAGradientToTheBias) {
  const at::Tensor images = torch::tensor({{1.0F, 0.0F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}});
  at::Tensor bias = torch::tensor(-1.0F).set_requires_grad(true);
  sigmoid_contrastive_loss(images, texts, torch::tensor(std::log(2.0F)), bias).backward();
  const double at_minus_one = 1 / (1 + std::exp(1.0));
  EXPECT_NEAR(bias.grad().item<double>(), -at_minus_one + at_minus_one, 1e-6);
  at::Tensor low = torch::tensor(-3.0F).set_requires_grad(true);
  sigmoid_contrastive_loss(images, texts, torch::tensor(std::log(2.0F)), low).backward();
  EXPECT_NEAR(low.grad().item<double>(), -1 / (1 + std::exp(-1.0)) + 1 / (1 + std::exp(3.0)), 1e-6);
}

TEST(ContrastiveLoss, GivesAGradientToTheTemperature) {
  const at::Tensor images = torch::tensor({{1.0F, 0.2F}, {0.0F, 1.0F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.3F, 1.0F}});
  at::Tensor logit_scale = torch::tensor(1.0F).set_requires_grad(true);
  contrastive_loss(images, texts, logit_scale).backward();
  const double step = 1e-3;
  const auto at_scale = [&](double value) {
    return contrastive_loss(images.to(at::kDouble), texts.to(at::kDouble), torch::tensor(value, at::kDouble))
        .item<double>();
  };
  EXPECT_NEAR(logit_scale.grad().item<double>(), (at_scale(1 + step) - at_scale(1 - step)) / (2 * step),
              1e-4);
}

}  // namespace
}  // namespace sdsclip

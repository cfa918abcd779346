#include "sdsclip/losses/contrastive.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

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
TEST(ContrastiveLoss, CountsFurtherTextsInTheRowsAlone) {
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

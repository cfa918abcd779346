#include "sdsclip/losses/ranking.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

// Worked by hand: cosines (1, 0) at exp(logit_scale) = 2 give q = (e^2, 1) / (e^2 + 1). The distances differ
// by temperature * ln 3, so p = (3/4, 1/4).
TEST(RankingLoss, OfTwoCandidatesIsTheHandWorkedValue) {
  const at::Tensor images = torch::tensor({{5.0F, 0.0F}});
  const at::Tensor texts = torch::tensor({{0.1F, 0.0F}, {0.0F, 3.0F}});
  const double temperature = 0.02;
  const float gap = static_cast<float>(temperature * std::log(3.0));
  const RankBatch batch{torch::tensor({0L}), torch::tensor({{0L, 1L}}),
                        torch::tensor({{0.25F, 0.25F + gap}})};
  const double log_sum = std::log(std::exp(2.0) + 1);
  const double expected = 0.75 * (std::log(0.75) - (2 - log_sum)) + 0.25 * (std::log(0.25) + log_sum);
  EXPECT_NEAR(ranking_loss(images, texts, torch::tensor(std::log(2.0F)), batch, temperature).item<double>(),
              expected, 1e-5);
}

/// The same formula in plain loops over doubles, with lists of candidates instead of padding.
double plain_loss(const at::Tensor& images, const at::Tensor& texts, double logit_scale,
                  const std::vector<std::int64_t>& rows,
                  const std::vector<std::vector<std::int64_t>>& candidates,
                  const std::vector<std::vector<double>>& distances, double temperature) {
  const auto value = [](const at::Tensor& tensor, std::int64_t row, std::int64_t column) {
    return tensor[row][column].item<double>();
  };
  const auto dot = [&](const at::Tensor& a, std::int64_t i, const at::Tensor& b, std::int64_t j) {
    double sum = 0;
    for (std::int64_t d = 0; d < a.size(1); ++d) sum += value(a, i, d) * value(b, j, d);
    return sum;
  };
  double total = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<double> teacher;
    std::vector<double> student;
    double teacher_sum = 0;
    double student_sum = 0;
    for (std::size_t k = 0; k < candidates[r].size(); ++k) {
      const std::int64_t text = candidates[r][k];
      const double norms = std::sqrt(dot(images, rows[r], images, rows[r]) * dot(texts, text, texts, text));
      student.push_back(std::exp(std::exp(logit_scale) * dot(images, rows[r], texts, text) / norms));
      teacher.push_back(std::exp(-distances[r][k] / temperature));
      teacher_sum += teacher.back();
      student_sum += student.back();
    }
    for (std::size_t k = 0; k < teacher.size(); ++k) {
      const double p = teacher[k] / teacher_sum;
      total += p * std::log(p / (student[k] / student_sum));
    }
  }
  return total / static_cast<double>(rows.size());
}

struct UnevenRows {
  at::Tensor images = torch::randn({4, 5}, at::make_generator<at::CPUGeneratorImpl>(7), at::kDouble);
  at::Tensor texts = torch::randn({9, 5}, at::make_generator<at::CPUGeneratorImpl>(8), at::kDouble);
  std::vector<std::int64_t> rows = {3, 1};
  std::vector<std::vector<std::int64_t>> candidates = {{3, 5, 6, 8}, {1, 7}};
  std::vector<std::vector<double>> distances = {{0.31, 0.32, 0.30, 0.35}, {0.12, 0.11}};
  RankBatch batch{
      torch::tensor({3L, 1L}), torch::tensor({{3L, 5L, 6L, 8L}, {1L, 7L, -1L, -1L}}),
      torch::tensor({{0.31, 0.32, 0.30, 0.35}, {0.12, 0.11, std::numeric_limits<double>::quiet_NaN(), -5.0}},
                    at::kDouble)};
};

TEST(RankingLoss, EqualsThePlainFormulaForPaddedRows) {
  const UnevenRows data;
  const at::Tensor loss =
      ranking_loss(data.images, data.texts, torch::tensor(1.3, at::kDouble), data.batch, 0.02);
  EXPECT_NEAR(loss.item<double>(),
              plain_loss(data.images, data.texts, 1.3, data.rows, data.candidates, data.distances, 0.02),
              1e-12);
}

TEST(RankingLoss, GradientsAreTheFiniteDifferencesOfThePlainFormula) {
  UnevenRows data;
  at::Tensor images = data.images.clone().set_requires_grad(true);
  at::Tensor texts = data.texts.clone().set_requires_grad(true);
  at::Tensor logit_scale = torch::tensor(1.3, at::kDouble).set_requires_grad(true);
  ranking_loss(images, texts, logit_scale, data.batch, 0.02).backward();

  const double step = 1e-6;
  const auto slope = [&](at::Tensor entry) {
    const double at_rest = entry.item<double>();
    const auto at_value = [&](double value) {
      entry.fill_(value);
      return plain_loss(data.images, data.texts, 1.3, data.rows, data.candidates, data.distances, 0.02);
    };
    const double difference = at_value(at_rest + step) - at_value(at_rest - step);
    entry.fill_(at_rest);
    return difference / (2 * step);
  };
  for (std::int64_t d = 0; d < 5; ++d) {
    EXPECT_NEAR(images.grad()[3][d].item<double>(), slope(data.images[3][d]), 1e-7);
    EXPECT_NEAR(texts.grad()[7][d].item<double>(), slope(data.texts[7][d]), 1e-7);
  }
  const auto at_scale = [&](double value) {
    return plain_loss(data.images, data.texts, value, data.rows, data.candidates, data.distances, 0.02);
  };
  EXPECT_NEAR(logit_scale.grad().item<double>(), (at_scale(1.3 + step) - at_scale(1.3 - step)) / (2 * step),
              1e-7);
  EXPECT_EQ(images.grad()[0].abs().sum().item<double>(), 0.0) << "an image without targets";
  EXPECT_EQ(texts.grad()[0].abs().sum().item<double>(), 0.0) << "a text that only fills up a row";
}

TEST(RankingLoss, IsZeroIfClipAgreesWithTheTeacher) {
  const at::Tensor images = torch::tensor({{1.0F, 0.0F}});
  const at::Tensor texts = torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}, {-1.0F, 0.0F}});
  // d = -temperature * exp(logit_scale) * cos, up to a constant.
  const RankBatch batch{torch::tensor({0L}), torch::tensor({{0L, 1L, 2L}}),
                        torch::tensor({{0.1F, 0.2F, 0.3F}})};
  EXPECT_NEAR(ranking_loss(images, texts, torch::tensor(std::log(10.0F)), batch, 0.01).item<double>(), 0,
              1e-5);
}

TEST(RankOptions, AreRefusedIfInvalid) {
  EXPECT_NO_THROW(check_rank_options({}));
  const auto expect_refused = [](const RankOptions& options, const std::string& key) {
    expect_error(ExitCode::kUsage, {key}, [&] { check_rank_options(options); });
  };
  expect_refused({.weight = 1, .targets = ""}, "rank.targets");
  expect_refused({.weight = -1, .targets = "run"}, "rank.weight");
  expect_refused({.weight = 1, .targets = "run", .temperature = 0}, "rank.temperature");
}

}  // namespace
}  // namespace sdsclip

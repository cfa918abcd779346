#include "paired_test.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace sdsclip {
namespace {

// The chance that a normal variable of this mean and variance has the other sign than its mean.
double wrong_sign(double mean, double variance) {
  if (variance <= 0) return 0;
  return 0.5 * std::erfc(std::abs(mean) / std::sqrt(2 * variance));
}

// The expectation of `wrong_sign(mean + shift, variance)` over a normal shift, by the trapezoidal rule.
double expected_wrong_sign(double mean, double shift_variance, double variance) {
  constexpr int kSteps = 16;  // to each side, a quarter of a standard deviation wide
  constexpr double kWidth = 0.25;
  double sum = 0;
  double weights = 0;
  for (int i = -kSteps; i <= kSteps; ++i) {
    const double x = kWidth * i;
    const double weight = std::exp(-x * x / 2);
    sum += weight * wrong_sign(mean + x * std::sqrt(shift_variance), variance);
    weights += weight;
  }
  return sum / weights;
}

}  // namespace

double student_t_within(double t, std::int64_t degrees) {
  const double angle = std::atan(std::abs(t) / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle);
  const bool is_odd = degrees % 2 == 1;
  double sum = 0;
  double term = is_odd ? cosine : 1.0;
  for (std::int64_t i = is_odd ? 3 : 2; i <= degrees; i += 2) {
    sum += term;
    term *= cosine * cosine * static_cast<double>(i - 1) / static_cast<double>(i);
  }
  const double within = std::sin(angle) * sum;
  return is_odd ? 2 / std::numbers::pi * (angle + within) : within;
}

SampledDifference sampled_difference(std::span<const double> a, std::span<const double> b,
                                     std::span<const SamplePoint> points) {
  std::vector<std::size_t> along(a.size());
  std::iota(along.begin(), along.end(), std::size_t{0});
  std::stable_sort(along.begin(), along.end(), [&points](std::size_t i, std::size_t j) {
    return points[i].timestep < points[j].timestep;
  });
  double sum = 0;
  double squares = 0;
  double before = 0;
  for (std::size_t i = 0; i < along.size(); ++i) {
    const double difference = a[along[i]] - b[along[i]];
    sum += difference;
    if (i > 0) squares += (difference - before) * (difference - before);
    before = difference;
  }
  SampledDifference result{.mean = 0, .variance = 0, .count = static_cast<std::int64_t>(a.size())};
  if (result.count > 0) result.mean = sum / static_cast<double>(result.count);
  if (result.count > 1) result.variance = squares / (2 * static_cast<double>(result.count - 1));
  return result;
}

double certainty(const SampledDifference& difference) {
  if (difference.count < 2) return 0;
  if (difference.variance == 0) return 1;
  const double error = std::sqrt(difference.variance / static_cast<double>(difference.count));
  return student_t_within(difference.mean / error, difference.count - 1);
}

DecisionRisk decision_risk(const SampledDifference& difference, double prior_variance, std::int64_t more,
                           std::int64_t total) {
  const double own_samples = static_cast<double>(difference.count - 1);
  const double variance =
      (own_samples * difference.variance + kPriorSamples * prior_variance) / (own_samples + kPriorSamples);
  // What is not known of a mean of `total` samples when the first `count` are.
  const auto unknown = [&](std::int64_t count) {
    return variance * (1 / static_cast<double>(count) - 1 / static_cast<double>(total));
  };
  const double now = unknown(difference.count);
  const double then = unknown(difference.count + more);
  return {.now = wrong_sign(difference.mean, now),
          .then = expected_wrong_sign(difference.mean, now - then, then)};
}

double usual_variance(std::span<const SampledDifference> differences) {
  double logarithms = 0;
  double count = 0;
  for (const SampledDifference& difference : differences) {
    if (difference.variance == 0) continue;
    logarithms += std::log(difference.variance);
    ++count;
  }
  return count > 0 ? std::exp(logarithms / count) : 0;
}

}  // namespace sdsclip

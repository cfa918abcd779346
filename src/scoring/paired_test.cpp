#include "paired_test.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>
#include <vector>

namespace sdsclip {
namespace {

// The probability that a normal variable with this mean and variance has the opposite sign of its mean.
double wrong_sign(double mean, double variance) {
  if (variance <= 0) return 0;
  return 0.5 * std::erfc(std::abs(mean) / std::sqrt(2 * variance));
}

// The expectation of `wrong_sign(mean + shift, variance)` over a normal shift, by the trapezoidal rule.
double expected_wrong_sign(double mean, double shift_variance, double variance) {
  constexpr int kSteps = 16;  // per side; each is a quarter of a standard deviation wide
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

double student_t_within(double t, double degrees) {
  const boost::math::students_t distribution(degrees);
  return 1 - 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(t)));
}

SampledDifference sampled_difference(std::span<const double> a, std::span<const double> b,
                                     std::span<const SamplePoint> points) {
  std::vector<std::size_t> along(a.size());
  std::iota(along.begin(), along.end(), std::size_t{0});
  std::stable_sort(along.begin(), along.end(), [&points](std::size_t i, std::size_t j) {
    return points[i].timestep < points[j].timestep;
  });
  SampledDifference result{
      .mean = 0, .variance = 0, .count = static_cast<std::int64_t>(a.size()), .degrees = 0};
  if (along.empty()) return result;
  double sum = 0;
  double terms = 0;
  double squares = 0;
  double before = a[along.back()] - b[along.back()];
  for (const std::size_t i : along) {
    const double difference = a[i] - b[i];
    const double term = (difference - before) * (difference - before) / 2;
    sum += difference;
    terms += term;
    squares += term * term;
    before = difference;
  }
  const double n = static_cast<double>(result.count);
  result.mean = sum / n;
  if (result.count < 2) return result;
  result.variance = terms / n;
  const double most = std::min(n - 1, 2 * n / 3);
  result.degrees = squares > 0 ? std::clamp(2 * terms * terms / squares, 1.0, most) : most;
  return result;
}

double certainty(const SampledDifference& difference) {
  if (difference.count < 2) return 0;
  if (difference.variance == 0) return 1;
  const double error = std::sqrt(difference.variance / static_cast<double>(difference.count));
  return student_t_within(difference.mean / error, difference.degrees);
}

DecisionRisk decision_risk(const SampledDifference& difference, double prior_variance, std::int64_t more,
                           std::int64_t total) {
  const double variance = (difference.degrees * difference.variance + kPriorDegrees * prior_variance) /
                          (difference.degrees + kPriorDegrees);
  // The variance of the mean of `total` samples, given the first `count` of them.
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

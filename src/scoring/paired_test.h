#pragma once

#include <cstdint>
#include <span>

#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// The probability that Student's t with `degrees` (1 or more) degrees of freedom lies within [-|t|, |t|]
/// (Abramowitz and Stegun, 26.7.3 and 26.7.4: exact, a finite sum).
double student_t_within(double t, std::int64_t degrees);

/// What the samples of two candidates say of their difference.
struct SampledDifference {
  double mean = 0;      ///< of the samples' differences
  double variance = 0;  ///< of one sample's difference
  std::int64_t count = 0;
};

/// The difference `a - b`, sample by sample. The variance is that of successive differences along the
/// timestep, sum_i (d_(i+1) - d_(i))^2 / (2 (n - 1)) (von Neumann, 1941; for systematic samples, Wolter,
/// 1984): the samples are stratified in t, so what varies smoothly with t is no uncertainty of their mean.
/// `points`: where each sample lies, at least as many as there are terms.
SampledDifference sampled_difference(std::span<const double> a, std::span<const double> b,
                                     std::span<const SamplePoint> points);

/// How sure it is that the mean is not zero: the two-sided confidence of a paired t-test, in [0, 1]. 1 where
/// mean and variance are zero: two candidates that are the same need no deciding. 0 for fewer than two
/// samples.
double certainty(const SampledDifference& difference);

/// The chance that the mean so far has the other sign than the mean of all samples.
struct DecisionRisk {
  double now = 0;
  double then = 0;  ///< expected once more samples are known
};

/// The risk now and after `more` samples of `total`, the means being normal. The few samples' own variance is
/// averaged with `prior_variance`, which counts as `kPriorSamples` samples.
DecisionRisk decision_risk(const SampledDifference& difference, double prior_variance, std::int64_t more,
                           std::int64_t total);
inline constexpr double kPriorSamples = 1;

/// The geometric mean of the differences' variances, zeros left out, and 0 where all are: what a variance is
/// usually, where they differ by orders of magnitude.
double usual_variance(std::span<const SampledDifference> differences);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <span>

#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// The probability that Student's t with `degrees` (above 0) degrees of freedom lies within [-|t|, |t|].
double student_t_within(double t, double degrees);

/// What the samples of two candidates say of their difference.
struct SampledDifference {
  double mean = 0;      ///< of the samples' differences
  double variance = 0;  ///< of one sample's difference
  std::int64_t count = 0;
  double degrees = 0;  ///< of freedom, of the variance
};

/// The difference `a - b`, sample by sample. The variance is that of successive differences along the
/// timestep (von Neumann, 1941; for systematic samples, Wolter, 1984): the samples are stratified in t, so
/// what varies smoothly with t is no uncertainty of their mean. The range of timesteps is taken for a circle,
/// as the nested grid takes it: with q_i = (d_(i+1) - d_i)^2 / 2 and d_(n+1) = d_1 it is sum_i q_i / n, in
/// which every sample counts alike, also where the noise is largest at one end of the range.
///
/// Its degrees of freedom are Satterthwaite's (1946), from the terms themselves: 2 (sum_i q_i)^2 / sum_i
/// q_i^2, since the square of a normal variable's square has three times its mean's square, and at most the 2
/// n / 3 that samples of one variance have, and n - 1. `points`: where each sample lies, at least as many as
/// there are terms.
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
/// averaged with `prior_variance` by degrees of freedom, of which that has `kPriorDegrees`.
DecisionRisk decision_risk(const SampledDifference& difference, double prior_variance, std::int64_t more,
                           std::int64_t total);
inline constexpr double kPriorDegrees = 1;

/// The geometric mean of the differences' variances, zeros left out, and 0 where all are: what a variance is
/// usually, where they differ by orders of magnitude.
double usual_variance(std::span<const SampledDifference> differences);

}  // namespace sdsclip

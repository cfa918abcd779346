#pragma once

#include <cstdint>
#include <span>

#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// The probability that Student's t with `degrees` (above 0) degrees of freedom is within [-|t|, |t|].
double student_t_within(double t, double degrees);

/// An estimate of the difference of two candidates from their samples.
struct SampledDifference {
  double mean = 0;      ///< mean of the samples' differences
  double variance = 0;  ///< variance of one sample's difference
  std::int64_t count = 0;
  double degrees = 0;  ///< the variance's degrees of freedom
};

/// The difference `a - b`, sample by sample. The variance is that of successive differences along the
/// timestep (von Neumann, 1941; for systematic samples, Wolter, 1984). The samples are stratified in t, so
/// smooth variation with t does not make their mean uncertain. The range of timesteps is treated as a circle,
/// like in the nested grid: with q_i = (d_(i+1) - d_i)^2 / 2 and d_(n+1) = d_1 the variance is sum_i q_i / n.
/// Every sample counts equally, even if the noise is largest at one end of the range.
///
/// The degrees of freedom are Satterthwaite's (1946), from the terms themselves: 2 (sum_i q_i)^2 / sum_i
/// q_i^2, because the mean of the fourth power of a normal variable is three times its squared variance. They
/// are at most 2 n / 3, the value for samples of equal variance, and at most n - 1. `points` are the samples'
/// timesteps, at least as many as there are terms.
SampledDifference sampled_difference(std::span<const double> a, std::span<const double> b,
                                     std::span<const SamplePoint> points);

/// The two-sided confidence of a paired t-test that the mean is not zero, in [0, 1]. Returns 1 if mean and
/// variance are zero, because equal candidates need no decision, and 0 for fewer than two samples.
double certainty(const SampledDifference& difference);

/// The probability that the current mean and the mean of all samples have opposite signs.
struct DecisionRisk {
  double now = 0;
  double then = 0;  ///< expected value when more samples are known
};

/// The risk now and after `more` samples of `total`, if means are normal. The variance of few samples is
/// unreliable, so it is averaged with `prior_variance`, weighted by degrees of freedom; the prior has
/// `kPriorDegrees`.
DecisionRisk decision_risk(const SampledDifference& difference, double prior_variance, std::int64_t more,
                           std::int64_t total);
inline constexpr double kPriorDegrees = 1;

/// The geometric mean of the differences' variances without zeros, or 0 if all are zero. It is a typical
/// value even if variances differ by orders of magnitude.
double usual_variance(std::span<const SampledDifference> differences);

}  // namespace sdsclip

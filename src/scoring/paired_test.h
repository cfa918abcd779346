#pragma once

#include <cstdint>
#include <span>

#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// The probability that Student's t with `degrees` (1 or more) degrees of freedom lies within [-|t|, |t|]
/// (Abramowitz and Stegun, 26.7.3 and 26.7.4: exact, a finite sum).
double student_t_within(double t, std::int64_t degrees);

/// How sure it is that the mean of `differences` is not zero: the two-sided confidence of a paired t-test, in
/// [0, 1]. 1 where all differences are zero: two candidates that are the same need no deciding. 0 for fewer
/// than two differences.
///
/// The variance is that of successive differences along the timestep,
/// sum_i (d_(i+1) - d_(i))^2 / (2 (n - 1)) (von Neumann, 1941; for systematic samples, Wolter, 1984): the
/// samples are stratified in t, so what varies smoothly with t is no uncertainty of their mean.
/// `points`: where each sample lies, at least as many.
double paired_certainty(std::span<const double> differences, std::span<const SamplePoint> points);

}  // namespace sdsclip

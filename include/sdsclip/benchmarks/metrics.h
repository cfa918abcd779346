#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

struct Interval {
  double low = 0;
  double high = 0;
};

/// A metric as reported; values are fractions.
struct Metric {
  std::string name;
  double value = 0;
  std::int64_t n = 0;  ///< number of marks averaged
  Interval ci95;
  std::int64_t ties = 0;  ///< number of cases that a tie decided
  std::vector<std::string>
      groups_of_one{};  ///< of a macro average: the names that `groups_of_one_case` returns
};

/// Whether the metric is a benchmark's score (a fraction, 0 to 1) and not a loss of training.
bool is_score(const Metric& metric);

/// Throws `Error(kInput)` if a score that was read from a file is out of range; `where` names it.
void check_score(const Metric& metric, const std::string& where);

/// The two-sided interval of a success probability, given `right` successes in `n` independent trials:
/// Wilson's score interval (1927), or Clopper and Pearson's exact interval (1934) for n < `kExactBelow`. `n`
/// need not be a whole number. REQUIRES: 0 <= right <= n, n > 0.
Interval proportion_interval(double right, double n, double confidence = 0.95);
Interval wilson_interval(double right, double n, double confidence = 0.95);
Interval clopper_pearson_interval(double right, double n, double confidence = 0.95);
inline constexpr double kExactBelow = 20;

struct BootstrapOptions {
  std::int64_t resamples = 10'000;
  std::uint64_t seed = 0;  ///< the same seed gives the same interval
  double confidence = 0.95;
};

/// The mean of the marks, or the mean of the groups' means if the marks have groups. REQUIRES: at least one
/// mark.
double metric_value(const MetricMarks& marks);

/// The percentile bootstrap interval of `metric_value` (Efron, 1979), with linearly interpolated quantiles.
/// Each resample draws cases with all their marks from the cases that the metric covers. A macro average is
/// recomputed over the groups in the resample. The time depends on the number of cases with different marks,
/// not on the number of all cases. REQUIRES: at least one mark.
Interval bootstrap_interval(const MetricMarks& marks, const BootstrapOptions& options = {});

/// Whether the metric is a proportion over independent cases: marks of 0 and 1, one per case, without groups.
bool is_proportion(const MetricMarks& marks);

/// The interval that is reported: `proportion_interval` if `is_proportion`, else `bootstrap_interval`. If all
/// marks are right or all are wrong, the bootstrap interval would have width 0. The interval is then the
/// proportion's for as many cases as give a mean of groups the same variance: G^2 / sum_g(1/n_g) for G groups
/// of n_g cases.
Interval metric_interval(const MetricMarks& marks, const BootstrapOptions& options = {});

/// The names of the groups of a macro average that have one case. No interval covers the variance of such a
/// group.
std::vector<std::string> groups_of_one_case(const MetricMarks& marks);

Metric summarise(const MetricMarks& marks, const BootstrapOptions& options = {});
std::vector<Metric> summarise(std::span<const MetricMarks> marks, const BootstrapOptions& options = {});

/// The metric with that name, or nothing.
std::optional<Metric> find_metric(std::span<const Metric> metrics, std::string_view name);

/// Two runs compared on the same cases.
struct PairedDifference {
  std::string name;
  std::int64_t n = 0;
  double value_a = 0;
  double value_b = 0;
  double difference = 0;          ///< `value_b - value_a`
  Interval ci95;                  ///< of the difference, by a paired bootstrap over cases
  std::int64_t only_a_right = 0;  ///< marks that only a has
  std::int64_t only_b_right = 0;
  double p_value = 1;  ///< `exact_mcnemar(only_a_right, only_b_right)`
};

/// Which run is significantly better: the interval of the difference excludes 0 and McNemar's p is below
/// 0.05. Both are required, so that neither few discordant cases nor clustered marks count as a gain.
enum class Winner { kNone, kA, kB };
Winner winner_of(const PairedDifference& difference);

/// Throws `Error(kInput)` if the two have different metrics, cases or groups.
PairedDifference compare_marks(const MetricMarks& a, const MetricMarks& b,
                               const BootstrapOptions& options = {});

/// McNemar's exact test (McNemar, 1947): the two-sided probability that `only_a + only_b` fair coin tosses
/// split at least as unevenly. Returns 1 if both are 0.
double exact_mcnemar(std::int64_t only_a, std::int64_t only_b);

}  // namespace sdsclip

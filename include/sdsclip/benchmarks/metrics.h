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

/// A metric as it is reported; values are fractions.
struct Metric {
  std::string name;
  double value = 0;
  std::int64_t n = 0;  ///< marks that it averages
  Interval ci95;
  std::int64_t ties = 0;                     ///< cases that a tie decided
  std::vector<std::string> groups_of_one{};  ///< of a macro average: what `groups_of_one_case` names
};

/// The two-sided interval of a probability of which `right` of `n` independent trials speak: Wilson's score
/// interval (1927), or Clopper and Pearson's exact one (1934) for n < `kExactBelow`. `n` need not be a whole
/// number. REQUIRES: 0 <= right <= n, n > 0.
Interval proportion_interval(double right, double n, double confidence = 0.95);
Interval wilson_interval(double right, double n, double confidence = 0.95);
Interval clopper_pearson_interval(double right, double n, double confidence = 0.95);
inline constexpr double kExactBelow = 20;

struct BootstrapOptions {
  std::int64_t resamples = 10'000;
  std::uint64_t seed = 0;  ///< the same seed gives the same interval
  double confidence = 0.95;
};

/// The mean of the marks, or the mean of the groups' means where the marks have groups. REQUIRES: a mark.
double metric_value(const MetricMarks& marks);

/// The percentile bootstrap interval of `metric_value` (Efron, 1979), quantiles interpolated linearly. What
/// is drawn again is the case with all its marks, from all cases that the metric speaks of; a macro average
/// is formed anew in each resample, over the groups that are in it. The time depends on how many cases differ
/// in their marks, not on how many there are. REQUIRES: a mark.
Interval bootstrap_interval(const MetricMarks& marks, const BootstrapOptions& options = {});

/// Whether the metric is the share of right ones among independent cases: marks of 0 and 1, one a case, and
/// no groups.
bool is_proportion(const MetricMarks& marks);

/// The interval that is reported: `proportion_interval` where `is_proportion`, else `bootstrap_interval`. The
/// bootstrap of marks that are all right, or all wrong, has no width, as if nothing else could be: there it
/// is the proportion's interval for as many cases as give a mean of groups the same variance, G^2 /
/// sum_g(1/n_g) for G groups of n_g cases.
Interval metric_interval(const MetricMarks& marks, const BootstrapOptions& options = {});

/// The groups of a macro average that have one case, by name: how their own mean varies, no interval can say.
std::vector<std::string> groups_of_one_case(const MetricMarks& marks);

Metric summarise(const MetricMarks& marks, const BootstrapOptions& options = {});
std::vector<Metric> summarise(std::span<const MetricMarks> marks, const BootstrapOptions& options = {});

/// The metric of that name, or nothing.
std::optional<Metric> find_metric(std::span<const Metric> metrics, std::string_view name);

/// Two runs on the same cases, case by case.
struct PairedDifference {
  std::string name;
  std::int64_t n = 0;
  double value_a = 0;
  double value_b = 0;
  double difference = 0;          ///< `value_b - value_a`
  Interval ci95;                  ///< of the difference: paired bootstrap over cases
  std::int64_t only_a_right = 0;  ///< marks that a has and b has not
  std::int64_t only_b_right = 0;
  double p_value = 1;  ///< `exact_mcnemar(only_a_right, only_b_right)`
};

/// Which one is better beyond chance: the interval of the difference leaves 0 out and McNemar's p is below
/// 0.05. Both are asked, so that neither few discordant cases nor marks in clusters pass for a gain.
enum class Winner { kNone, kA, kB };
Winner winner_of(const PairedDifference& difference);

/// Throws `Error(kInput)` where the two are of different metrics, cases or groups.
PairedDifference compare_marks(const MetricMarks& a, const MetricMarks& b,
                               const BootstrapOptions& options = {});

/// McNemar's exact test (McNemar, 1947): the two-sided probability that of `only_a + only_b` fair coin tosses
/// the split is at least so uneven. 1 where nothing differs.
double exact_mcnemar(std::int64_t only_a, std::int64_t only_b);

}  // namespace sdsclip

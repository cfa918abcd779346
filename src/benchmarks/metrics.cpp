#include "sdsclip/benchmarks/metrics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <map>

#include "bootstrap.h"
#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

struct Sum {
  double marks = 0;
  double count = 0;
};

}  // namespace

bool is_score(const Metric& metric) {
  return !metric.name.starts_with("train/");
}

void check_score(const Metric& metric, const std::string& where) {
  const auto require_share = [&](const char* key, double value) {
    if (!(value >= 0 && value <= 1)) {
      throw input_error("{}: key '{}': got {}, expected a share, 0 to 1", where, key, value);
    }
  };
  require_share("value", metric.value);
  require_share("ci95", metric.ci95.low);
  require_share("ci95", metric.ci95.high);
  if (metric.n < 1) throw input_error("{}: key 'n': got {}, expected 1 or more", where, metric.n);
  if (metric.ties < 0 || metric.ties > metric.n) {
    throw input_error("{}: key 'ties': got {}, expected 0 to n, which is {}", where, metric.ties, metric.n);
  }
}

double metric_value(const MetricMarks& marks) {
  std::map<std::int32_t, Sum> groups;
  for (std::size_t i = 0; i < marks.mark.size(); ++i) {
    Sum& sum = groups[marks.group.empty() ? 0 : marks.group[i]];
    sum.marks += marks.mark[i];
    ++sum.count;
  }
  double total = 0;
  for (const auto& [group, sum] : groups) total += sum.marks / sum.count;
  return total / static_cast<double>(groups.size());
}

Metric summarise(const MetricMarks& marks, const BootstrapOptions& options) {
  return {.name = marks.name,
          .value = metric_value(marks),
          .n = static_cast<std::int64_t>(marks.mark.size()),
          .ci95 = metric_interval(marks, options),
          .ties = marks.ties,
          .groups_of_one = groups_of_one_case(marks)};
}

std::vector<Metric> summarise(std::span<const MetricMarks> marks, const BootstrapOptions& options) {
  std::vector<Metric> metrics;
  metrics.reserve(marks.size());
  for (const MetricMarks& one : marks) metrics.push_back(summarise(one, options));
  return metrics;
}

std::optional<Metric> find_metric(std::span<const Metric> metrics, std::string_view name) {
  const auto found = std::find_if(metrics.begin(), metrics.end(),
                                  [name](const Metric& metric) { return metric.name == name; });
  if (found == metrics.end()) return std::nullopt;
  return *found;
}

PairedDifference compare_marks(const MetricMarks& a, const MetricMarks& b, const BootstrapOptions& options) {
  if (a.name != b.name || a.case_index != b.case_index || a.group != b.group) {
    throw input_error(
        "compare: '{}' with {} marks and '{}' with {} marks do not cover the same cases; both runs need the "
        "same "
        "benchmark, data and --limit",
        a.name, a.mark.size(), b.name, b.mark.size());
  }
  PairedDifference result;
  result.name = a.name;
  result.n = static_cast<std::int64_t>(a.mark.size());
  result.value_a = metric_value(a);
  result.value_b = metric_value(b);
  MetricMarks difference = a;
  for (std::size_t i = 0; i < a.mark.size(); ++i) {
    difference.mark[i] = b.mark[i] - a.mark[i];
    if (difference.mark[i] < 0) ++result.only_a_right;
    if (difference.mark[i] > 0) ++result.only_b_right;
  }
  result.difference = result.value_b - result.value_a;
  // Plain and macro averages are linear in the marks, so the difference of two averages is the average of the
  // differences.
  result.ci95 = bootstrap_interval(difference, options);
  result.p_value = exact_mcnemar(result.only_a_right, result.only_b_right);
  return result;
}

Winner winner_of(const PairedDifference& difference) {
  constexpr double kSignificance = 0.05;
  if (difference.p_value >= kSignificance) return Winner::kNone;
  if (difference.ci95.low > 0) return Winner::kB;
  return difference.ci95.high < 0 ? Winner::kA : Winner::kNone;
}

double exact_mcnemar(std::int64_t only_a, std::int64_t only_b) {
  if (only_a + only_b == 0) return 1;
  const boost::math::binomial tosses(static_cast<double>(only_a + only_b), 0.5);
  return std::min(1.0, 2 * boost::math::cdf(tosses, static_cast<double>(std::min(only_a, only_b))));
}

}  // namespace sdsclip

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {
namespace {

/// The number of cases per group.
std::map<std::int32_t, double> cases_by_group(const MetricMarks& marks) {
  std::set<std::pair<std::int32_t, std::int32_t>> seen;  // group and case
  std::map<std::int32_t, double> cases;
  for (std::size_t i = 0; i < marks.mark.size(); ++i) {
    const std::int32_t group = marks.group.empty() ? 0 : marks.group[i];
    if (seen.emplace(group, marks.case_index[i]).second) ++cases[group];
  }
  return cases;
}

/// The number of independent cases whose plain mean has the variance of the mean of the groups' means, if all
/// cases have the same probability.
double equivalent_cases(const MetricMarks& marks) {
  const std::map<std::int32_t, double> cases = cases_by_group(marks);
  double inverses = 0;
  for (const auto& [group, count] : cases) inverses += 1 / count;
  const double groups = static_cast<double>(cases.size());
  return groups * groups / inverses;
}

bool all_are(const MetricMarks& marks, double value) {
  return std::all_of(marks.mark.begin(), marks.mark.end(), [value](double mark) { return mark == value; });
}

}  // namespace

Interval wilson_interval(double right, double n, double confidence) {
  const double z = boost::math::quantile(boost::math::normal(), (1 + confidence) / 2);
  const double p = right / n;
  const double scale = 1 + z * z / n;
  const double centre = (p + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {.low = right == 0 ? 0 : std::max(0.0, centre - half),
          .high = right == n ? 1 : std::min(1.0, centre + half)};
}

Interval clopper_pearson_interval(double right, double n, double confidence) {
  const double outside = (1 - confidence) / 2;
  return {.low = boost::math::binomial::find_lower_bound_on_p(n, right, outside),
          .high = boost::math::binomial::find_upper_bound_on_p(n, right, outside)};
}

Interval proportion_interval(double right, double n, double confidence) {
  return n < kExactBelow ? clopper_pearson_interval(right, n, confidence)
                         : wilson_interval(right, n, confidence);
}

bool is_proportion(const MetricMarks& marks) {
  const bool is_binary =
      std::all_of(marks.mark.begin(), marks.mark.end(), [](double mark) { return mark == 0 || mark == 1; });
  const std::set<std::int32_t> cases(marks.case_index.begin(), marks.case_index.end());
  return marks.group.empty() && is_binary && cases.size() == marks.case_index.size();
}

Interval metric_interval(const MetricMarks& marks, const BootstrapOptions& options) {
  if (is_proportion(marks)) {
    const double n = static_cast<double>(marks.mark.size());
    const double right = static_cast<double>(std::count(marks.mark.begin(), marks.mark.end(), 1.0));
    return proportion_interval(right, n, options.confidence);
  }
  for (const double value : {0.0, 1.0}) {
    if (!all_are(marks, value)) continue;
    const double n = equivalent_cases(marks);
    return proportion_interval(value * n, n, options.confidence);
  }
  return bootstrap_interval(marks, options);
}

std::vector<std::string> groups_of_one_case(const MetricMarks& marks) {
  std::vector<std::string> names;
  if (marks.group.empty()) return names;
  for (const auto& [group, cases] : cases_by_group(marks)) {
    if (cases > 1) continue;
    const auto name = marks.group_names.find(group);
    const bool is_named = name != marks.group_names.end() && !name->second.empty();
    names.push_back(is_named ? name->second : std::to_string(group));
  }
  return names;
}

}  // namespace sdsclip

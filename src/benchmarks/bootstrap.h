#pragma once

#include <map>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"

// The parts of `bootstrap_interval` (metrics.h), declared here for the tests.
namespace sdsclip {

/// The contribution of one case to one group's average.
struct GroupShare {
  std::int32_t group = 0;
  double marks = 0;  ///< sum of the case's marks in the group
  double count = 0;
  auto operator<=>(const GroupShare&) const = default;
};

/// The number of cases of each kind; cases of a kind have the same contributions.
std::map<std::vector<GroupShare>, std::int64_t> count_kinds(const MetricMarks& marks);

/// The quantile of sorted values, interpolated linearly between the two nearest (numpy's default).
double sorted_quantile(const std::vector<double>& sorted, double quantile);

}  // namespace sdsclip

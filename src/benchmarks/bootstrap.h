#pragma once

#include <map>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"

// `bootstrap_interval` is declared in metrics.h; here are its parts, for the tests.
namespace sdsclip {

/// What one case adds to one group's average.
struct GroupShare {
  std::int32_t group = 0;
  double marks = 0;  ///< their sum
  double count = 0;
  auto operator<=>(const GroupShare&) const = default;
};

/// Cases that add the same are interchangeable: how many there are of each kind.
std::map<std::vector<GroupShare>, std::int64_t> count_kinds(const MetricMarks& marks);

/// The quantile of sorted values, interpolated linearly between the two nearest (numpy's default).
double sorted_quantile(const std::vector<double>& sorted, double quantile);

}  // namespace sdsclip

// The bootstrap draws n of n cases with replacement, 10,000 times. Cases with the same marks in the same
// groups are interchangeable, and the number of times that each kind is drawn is multinomial. A resample is
// therefore one binomial draw per kind (with the kind's share of the remaining cases) instead of n draws: two
// for a plain accuracy.
#include "bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "sdsclip/base/random.h"

namespace sdsclip {
namespace {

// A kind of case, with groups numbered from 0.
struct Kind {
  std::vector<GroupShare> shares;
  std::int64_t cases = 0;
};

struct Kinds {
  std::vector<Kind> kinds;
  std::int64_t cases = 0;
  std::size_t groups = 0;
};

Kinds collect(const MetricMarks& marks) {
  Kinds result;
  std::map<std::int32_t, std::int32_t> numbers;
  for (const auto& [shares, cases] : count_kinds(marks)) {
    Kind kind{.shares = shares, .cases = cases};
    for (GroupShare& share : kind.shares) {
      share.group = numbers.try_emplace(share.group, static_cast<std::int32_t>(numbers.size())).first->second;
    }
    result.kinds.push_back(std::move(kind));
    result.cases += cases;
  }
  result.groups = numbers.size();
  return result;
}

// Computes one resample's metric.
class Resampler {
 public:
  explicit Resampler(const Kinds& kinds) : kinds_(kinds), marks_(kinds.groups), counts_(kinds.groups) {}

  double draw(RandomSequence& sequence) {
    std::fill(marks_.begin(), marks_.end(), 0.0);
    std::fill(counts_.begin(), counts_.end(), 0.0);
    std::int64_t draws_left = kinds_.cases;
    std::int64_t cases_left = kinds_.cases;
    for (const Kind& kind : kinds_.kinds) {
      const double share = static_cast<double>(kind.cases) / static_cast<double>(cases_left);
      const std::int64_t drawn = kind.cases == cases_left
                                     ? draws_left
                                     : std::binomial_distribution<std::int64_t>(draws_left, share)(sequence);
      add(kind, static_cast<double>(drawn));
      draws_left -= drawn;
      cases_left -= kind.cases;
    }
    return mean_of_groups();
  }

 private:
  void add(const Kind& kind, double times) {
    for (const GroupShare& share : kind.shares) {
      const std::size_t group = static_cast<std::size_t>(share.group);
      marks_[group] += times * share.marks;
      counts_[group] += times * share.count;
    }
  }

  // A resample has as many cases as the data, so at least one group is in it.
  [[nodiscard]] double mean_of_groups() const {
    double total = 0;
    double groups = 0;
    for (std::size_t group = 0; group < marks_.size(); ++group) {
      if (counts_[group] == 0) continue;
      total += marks_[group] / counts_[group];
      ++groups;
    }
    return total / groups;
  }

  const Kinds& kinds_;
  std::vector<double> marks_;
  std::vector<double> counts_;
};

}  // namespace

std::map<std::vector<GroupShare>, std::int64_t> count_kinds(const MetricMarks& marks) {
  std::vector<std::size_t> order(marks.mark.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&marks](std::size_t a, std::size_t b) {
    return marks.case_index[a] < marks.case_index[b];
  });
  std::map<std::vector<GroupShare>, std::int64_t> kinds;
  for (std::size_t start = 0; start < order.size();) {
    std::map<std::int32_t, GroupShare> shares;
    const std::int32_t case_index = marks.case_index[order[start]];
    std::size_t end = start;
    for (; end < order.size() && marks.case_index[order[end]] == case_index; ++end) {
      const std::int32_t group = marks.group.empty() ? 0 : marks.group[order[end]];
      GroupShare& share = shares[group];
      share.group = group;
      share.marks += marks.mark[order[end]];
      ++share.count;
    }
    std::vector<GroupShare> kind;
    for (const auto& [group, share] : shares) kind.push_back(share);
    ++kinds[kind];
    start = end;
  }
  return kinds;
}

double sorted_quantile(const std::vector<double>& sorted, double quantile) {
  const double position = quantile * static_cast<double>(sorted.size() - 1);
  const std::size_t below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - std::floor(position)) * (sorted[above] - sorted[below]);
}

Interval bootstrap_interval(const MetricMarks& marks, const BootstrapOptions& options) {
  const Kinds kinds = collect(marks);
  Resampler resampler(kinds);
  RandomSequence sequence(options.seed, stream_of("benchmarks/bootstrap"));
  std::vector<double> values(static_cast<std::size_t>(options.resamples));
  for (double& value : values) value = resampler.draw(sequence);
  std::sort(values.begin(), values.end());
  const double outside = (1 - options.confidence) / 2;
  return {.low = sorted_quantile(values, outside), .high = sorted_quantile(values, 1 - outside)};
}

}  // namespace sdsclip

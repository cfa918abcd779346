#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The answer to one question, and whether a tie decided it.
struct Verdict {
  bool right = false;
  bool tied = false;
};

/// What a tie between the right answer and a wrong one counts as; each benchmark's published rule.
enum class TieRule { kWrong, kRight };

/// Whether `right` beats `wrong`.
Verdict beats(double right, double wrong, TieRule ties = TieRule::kWrong);

/// Whether the first score of `row` beats all others.
Verdict first_is_best(std::span<const double> row, TieRule ties);

/// Both have to be right; decided by a tie where it would be right had the ties fallen the other way.
Verdict both(const Verdict& a, const Verdict& b);

/// Gathers the marks of a benchmark's metrics, in the order in which the metrics are first named.
class MarkBook {
 public:
  static constexpr std::int32_t kNoGroup = -1;

  /// `group` is the macro average's group, the same kind (none or some) for all marks of a metric, and
  /// `group_name` what messages call it.
  void add(std::string_view metric, std::size_t case_index, const Verdict& verdict,
           std::int32_t group = kNoGroup, std::string_view group_name = "");
  /// The metrics; leaves the book empty.
  std::vector<MetricMarks> take();

 private:
  MetricMarks& marks_of(std::string_view metric);

  std::vector<MetricMarks> metrics_;
};

/// The tags of a table that start with `prefix`, each once, sorted.
std::set<std::string> tags_of(const CaseTable& table, std::string_view prefix = "");
bool has_tag(const Case& question, std::string_view tag);
/// What follows `prefix` in the case's tag of that kind. A loader gives every case one: it is an error of
/// ours if not.
std::string_view tag_value(const Case& question, std::string_view prefix);

}  // namespace sdsclip

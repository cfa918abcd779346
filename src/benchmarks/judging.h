#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// Whether an answer is right, and whether a tie decided it.
struct Verdict {
  bool right = false;
  bool tied = false;
};

/// How a tie between the right and a wrong answer counts, by each benchmark's published rule.
enum class TieRule { kWrong, kRight };

/// Whether `right` beats `wrong`.
Verdict beats(double right, double wrong, TieRule ties = TieRule::kWrong);

/// Whether the first score of `row` beats all others.
Verdict first_is_best(std::span<const double> row, TieRule ties);

/// Right if both are right. Counts as a tie if it would be right had the ties been decided the other way.
Verdict both(const Verdict& a, const Verdict& b);

/// Collects the marks of a benchmark's metrics, in the order in which the metrics first appear.
class MarkCollector {
 public:
  static constexpr std::int32_t kNoGroup = -1;

  /// `group` is the group of a macro average; either all marks of a metric have one or none has. `group_name`
  /// is its name in messages.
  void add(std::string_view metric, std::size_t case_index, const Verdict& verdict,
           std::int32_t group = kNoGroup, std::string_view group_name = "");
  /// Returns the metrics and leaves none behind.
  std::vector<MetricMarks> take();

 private:
  MetricMarks& marks_of(std::string_view metric);

  std::vector<MetricMarks> metrics_;
};

/// The tags in a table that start with `prefix`, each once, sorted.
std::set<std::string> tags_of(const CaseTable& table, std::string_view prefix = "");
bool has_tag(const Case& question, std::string_view tag);
/// The rest of the case's tag after `prefix`. Every loader sets such a tag, so a missing one is a programming
/// error.
std::string_view tag_value(const Case& question, std::string_view prefix);

/// The summary's metrics of a benchmark in parts: `NAME/accuracy`, then `NAME/PART/accuracy` of each part.
std::vector<std::string> accuracy_headline(std::string_view benchmark,
                                           std::span<const std::string_view> parts);

}  // namespace sdsclip

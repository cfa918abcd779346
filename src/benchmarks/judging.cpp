#include "judging.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace sdsclip {

Verdict beats(double right, double wrong, TieRule ties) {
  const bool tied = right == wrong;
  return {.right = right > wrong || (tied && ties == TieRule::kRight), .tied = tied};
}

Verdict first_is_best(std::span<const double> row, TieRule ties) {
  if (row.size() < 2) return {.right = true, .tied = false};
  return beats(row.front(), *std::max_element(row.begin() + 1, row.end()), ties);
}

Verdict both(const Verdict& a, const Verdict& b) {
  const bool decided_by_tie = (a.tied || b.tied) && (a.tied || a.right) && (b.tied || b.right);
  return {.right = a.right && b.right, .tied = decided_by_tie};
}

MetricMarks& MarkCollector::marks_of(std::string_view metric) {
  for (MetricMarks& marks : metrics_) {
    if (marks.name == metric) return marks;
  }
  metrics_.push_back({.name = std::string(metric), .ties = 0});
  return metrics_.back();
}

void MarkCollector::add(std::string_view metric, std::size_t case_index, const Verdict& verdict,
                        std::int32_t group, std::string_view group_name) {
  MetricMarks& marks = marks_of(metric);
  marks.case_index.push_back(static_cast<std::int32_t>(case_index));
  marks.mark.push_back(verdict.right ? 1.0 : 0.0);
  if (group != kNoGroup) {
    marks.group.push_back(group);
    marks.group_names.try_emplace(group, group_name);
  }
  if (verdict.tied) ++marks.ties;
}

std::vector<MetricMarks> MarkCollector::take() {
  return std::exchange(metrics_, {});
}

std::set<std::string> tags_of(const CaseTable& table, std::string_view prefix) {
  std::set<std::string> tags;
  for (const Case& question : table.cases) {
    for (const std::string& tag : question.tags) {
      if (tag.starts_with(prefix)) tags.insert(tag);
    }
  }
  return tags;
}

bool has_tag(const Case& question, std::string_view tag) {
  return std::find(question.tags.begin(), question.tags.end(), tag) != question.tags.end();
}

std::string_view tag_value(const Case& question, std::string_view prefix) {
  for (const std::string& tag : question.tags) {
    if (tag.starts_with(prefix)) return std::string_view(tag).substr(prefix.size());
  }
  throw std::logic_error("case " + question.id + " has no tag " + std::string(prefix));
}

std::vector<std::string> accuracy_headline(std::string_view benchmark,
                                           std::span<const std::string_view> parts) {
  std::vector<std::string> metrics = {fmt::format("{}/accuracy", benchmark)};
  for (const std::string_view part : parts) metrics.push_back(fmt::format("{}/{}/accuracy", benchmark, part));
  return metrics;
}

}  // namespace sdsclip

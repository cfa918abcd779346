#include "sdsclip/benchmarks/benchmark.h"

#include <algorithm>

#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

bool holds_marker(const Benchmark& benchmark, const fs::path& folder) {
  return std::any_of(benchmark.markers.begin(), benchmark.markers.end(),
                     [&folder](std::string_view name) { return fs::exists(folder / name); });
}

}  // namespace

std::vector<fs::path> data_sets(const Benchmark& benchmark, const fs::path& folder) {
  if (benchmark.markers.empty() || holds_marker(benchmark, folder) || !fs::is_directory(folder))
    return {folder};
  std::vector<fs::path> sets;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && holds_marker(benchmark, entry.path())) sets.push_back(entry.path());
  }
  std::sort(sets.begin(), sets.end());
  if (sets.empty()) return {folder};
  return sets;
}

fs::path default_data_folder() {
  return folder_from_environment("SDSCLIP_DATA", "data");
}

std::int64_t CaseTable::caption_count(std::size_t index) const {
  const Case& question = cases[index];
  return static_cast<std::int64_t>(question.captions.empty() ? captions.size() : question.captions.size());
}

std::int32_t CaseTable::caption_at(std::size_t index, std::int64_t column) const {
  const Case& question = cases[index];
  return question.captions.empty() ? static_cast<std::int32_t>(column)
                                   : question.captions[static_cast<std::size_t>(column)];
}

std::int64_t match_count(const CaseTable& table) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < table.cases.size(); ++i) {
    count += static_cast<std::int64_t>(table.cases[i].images.size()) * table.caption_count(i);
  }
  return count;
}

CaseScores::CaseScores(const CaseTable& table) {
  std::size_t total = 0;
  offsets_.reserve(table.cases.size());
  columns_.reserve(table.cases.size());
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    offsets_.push_back(total);
    columns_.push_back(static_cast<std::size_t>(table.caption_count(index)));
    total += table.cases[index].images.size() * columns_.back();
  }
  values_.resize(total);
}

std::size_t CaseScores::row_start(std::size_t case_index, std::int64_t image_row) const {
  return offsets_[case_index] + static_cast<std::size_t>(image_row) * columns_[case_index];
}

double CaseScores::at(std::size_t case_index, std::int64_t image_row, std::int64_t caption_column) const {
  return values_[row_start(case_index, image_row) + static_cast<std::size_t>(caption_column)];
}

void CaseScores::set(std::size_t case_index, std::int64_t image_row, std::int64_t caption_column,
                     double score) {
  values_[row_start(case_index, image_row) + static_cast<std::size_t>(caption_column)] = score;
}

std::span<const double> CaseScores::row(std::size_t case_index, std::int64_t image_row) const {
  return std::span(values_).subspan(row_start(case_index, image_row), columns_[case_index]);
}

std::span<double> CaseScores::row(std::size_t case_index, std::int64_t image_row) {
  return std::span(values_).subspan(row_start(case_index, image_row), columns_[case_index]);
}

}  // namespace sdsclip

#include "sdsclip/benchmarks/data_check.h"

#include <algorithm>

#include "judging.h"

namespace sdsclip {

bool DataReport::is_complete() const {
  return missing_files.empty() && std::all_of(parts.begin(), parts.end(), [](const PartCount& part) {
           return !part.published || part.cases == *part.published;
         });
}

DataReport check_data(const Benchmark& benchmark, const fs::path& data, bool confine) {
  const CaseTable table =
      benchmark.load({.data = data, .limit = 0, .skip_missing = true, .confine = confine});
  DataReport report{.benchmark = std::string(benchmark.name),
                    .data = data,
                    .images = static_cast<std::int64_t>(table.images.size()),
                    .captions = static_cast<std::int64_t>(table.captions.size()),
                    .parts = {},
                    .skipped_missing = table.skipped_missing,
                    .missing_files = table.missing_files};
  const bool names_all = std::any_of(benchmark.expected.begin(), benchmark.expected.end(),
                                     [](const ExpectedCount& e) { return e.tag.empty(); });
  if (!names_all) {
    report.parts.push_back(
        {.name = "all", .cases = static_cast<std::int64_t>(table.cases.size()), .published = std::nullopt});
  }
  for (const ExpectedCount& expected : benchmark.expected) {
    const std::int64_t cases = std::count_if(
        table.cases.begin(), table.cases.end(),
        [&](const Case& question) { return expected.tag.empty() || has_tag(question, expected.tag); });
    const std::string name = expected.tag.empty() ? "all" : std::string(expected.tag);
    report.parts.push_back({.name = name, .cases = cases, .published = expected.cases});
  }
  return report;
}

}  // namespace sdsclip

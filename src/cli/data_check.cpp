#include "data_check.h"

#include <cstdio>

#include "paths.h"
#include "sdsclip/base/error.h"
#include "sdsclip/benchmarks/data_check.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {

void run(const DataCheckCommand& command) {
  const Benchmark& benchmark = find_benchmark(command.benchmark);
  const fs::path folder = data_path(command.data, command.benchmark);
  std::size_t missing_files = 0;
  std::int64_t unusable_cases = 0;
  for (const fs::path& set : data_sets(benchmark, folder)) {
    const DataReport report = check_data(benchmark, set, command.confine_data);
    std::fputs(format_data_report(report).c_str(), stdout);
    missing_files += report.missing_files.size();
    unusable_cases += report.skipped_missing;
  }
  if (missing_files > 0) {
    throw input_error(
        "{}: {} images are missing, {} cases cannot be used; fetch them, or run with --skip-missing",
        folder.string(), missing_files, unusable_cases);
  }
}

}  // namespace sdsclip

#include "sdsclip/benchmarks/data_check.h"

#include <cstdio>

#include "commands.h"
#include "paths.h"
#include "sdsclip/base/error.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {

void run_data_check(const Arguments& arguments) {
  const DataCheckArguments& given = arguments.data_check;
  const Benchmark& benchmark = find_benchmark(given.benchmark);
  const DataReport report = check_data(benchmark, data_path(given.data, given.benchmark));
  std::fputs(format_data_report(report).c_str(), stdout);
  if (!report.missing_files.empty()) {
    throw input_error(
        "{}: {} images are missing, {} cases cannot be used; fetch them, or run with --skip-missing",
        report.data.string(), report.missing_files.size(), report.skipped_missing);
  }
}

}  // namespace sdsclip

// Drives the benchmarks' loaders and judges for test_benchmarks.py.
//
//   judge_probe cases BENCHMARK DATA              the tables, as JSON
//   judge_probe judge BENCHMARK DATA SCORES       the metrics of a score matrix, as JSON
//   judge_probe compare BENCHMARK DATA A B        the differences of two score matrices, as JSON
//
// A score file holds native float64, case after case, image after image, in the order of `cases`.
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "probe_main.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/metrics.h"

namespace {

using nlohmann::ordered_json;
using namespace sdsclip;

ordered_json describe(const CaseTable& table) {
  ordered_json captions = ordered_json::array();
  for (const BenchmarkCaption& caption : table.captions)
    captions.push_back({{"id", caption.id}, {"texts", caption.texts}});
  ordered_json cases = ordered_json::array();
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const Case& question = table.cases[index];
    ordered_json images = ordered_json::array();
    for (const std::int32_t row : question.images)
      images.push_back(table.images[static_cast<std::size_t>(row)].id);
    cases.push_back({{"id", question.id}, {"images", images}, {"captions", question.captions}});
  }
  return {{"captions", captions}, {"cases", cases}};
}

CaseScores read_scores(const CaseTable& table, const std::string& path) {
  const std::string bytes = read_file(path);
  CaseScores scores(table);
  std::size_t offset = 0;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    for (std::size_t image = 0; image < table.cases[index].images.size(); ++image) {
      const std::span<double> row = scores.row(index, static_cast<std::int64_t>(image));
      if (offset + row.size_bytes() > bytes.size()) throw input_error("{}: too short", path);
      std::memcpy(row.data(), bytes.data() + offset, row.size_bytes());
      offset += row.size_bytes();
    }
  }
  if (offset != bytes.size()) throw input_error("{}: too long", path);
  return scores;
}

ordered_json judge(const Benchmark& benchmark, const CaseTable& table, const std::string& scores) {
  ordered_json result = ordered_json::object();
  for (const Metric& metric : summarise(benchmark.judge(table, read_scores(table, scores)))) {
    result[metric.name] = {{"value", metric.value},
                           {"n", metric.n},
                           {"ci95", {metric.ci95.low, metric.ci95.high}},
                           {"ties", metric.ties}};
  }
  return result;
}

ordered_json compare(const Benchmark& benchmark, const CaseTable& table, const std::string& a,
                     const std::string& b) {
  const std::vector<MetricMarks> marks_a = benchmark.judge(table, read_scores(table, a));
  const std::vector<MetricMarks> marks_b = benchmark.judge(table, read_scores(table, b));
  ordered_json result = ordered_json::object();
  for (std::size_t i = 0; i < marks_a.size(); ++i) {
    const PairedDifference one = compare_marks(marks_a[i], marks_b[i]);
    result[one.name] = {{"difference", one.difference},
                        {"ci95", {one.ci95.low, one.ci95.high}},
                        {"only_a", one.only_a_right},
                        {"only_b", one.only_b_right},
                        {"p_value", one.p_value}};
  }
  return result;
}

ordered_json run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3)
    throw usage_error("judge_probe: expected cases|judge|compare BENCHMARK DATA [SCORES...]");
  const Benchmark& benchmark = find_benchmark(arguments[1]);
  const CaseTable table = benchmark.load({.data = arguments[2], .limit = 0, .skip_missing = false});
  if (arguments[0] == "cases" && arguments.size() == 3) return describe(table);
  if (arguments[0] == "judge" && arguments.size() == 4) return judge(benchmark, table, arguments[3]);
  if (arguments[0] == "compare" && arguments.size() == 5)
    return compare(benchmark, table, arguments[3], arguments[4]);
  throw usage_error("judge_probe: unknown task '{}' with {} arguments", arguments[0], arguments.size());
}

}  // namespace

int main(int count, char** arguments) {
  return sdsclip::testing::probe_main(count, arguments, run);
}

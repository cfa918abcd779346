#include "results.h"

#include <torch/version.h>

#include <algorithm>
#include <cstdio>

#include "paths.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/json.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/image.h"
#include "sdsclip/reporting/table.h"
#include "version.h"

namespace sdsclip {
namespace {

constexpr std::string_view kAll = "all";

/// A YAML scalar or flow list of our own writing as JSON.
ordered_json value_of(const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::kNull) return nullptr;
  if (node.kind == ConfigNode::Kind::kText) return node.text;
  if (node.kind != ConfigNode::Kind::kList) return parse_json_value(node.text, node.origin);
  ordered_json list = ordered_json::array();
  for (const ConfigNode& item : node.items) list.push_back(value_of(item));
  return list;
}

/// A run a data set of the benchmark, in `parent/name`; several are told apart by `parent/name-cifar10`, or
/// `parent/cifar10` where `name` is empty.
void add_runs(const Benchmark& benchmark, const fs::path& data, const fs::path& parent,
              const std::string& name, std::vector<BenchmarkRun>& runs) {
  for (const fs::path& set : data_sets(benchmark, data)) {
    const std::string set_name = set == data ? "" : set.filename().string();
    const std::string folder = name.empty() || set_name.empty() ? name + set_name : name + "-" + set_name;
    runs.push_back({.benchmark = &benchmark,
                    .data_set = set_name,
                    .data = set,
                    .out = folder.empty() ? parent : parent / folder});
  }
}

}  // namespace

RunResult new_result(const std::string& command, const std::string& benchmark) {
  RunResult result;
  result.command = command;
  result.benchmark = benchmark;
  result.versions = {{"sdsclip", SDSCLIP_VERSION}, {"libtorch", TORCH_VERSION}, {"opencv", opencv_version()}};
  return result;
}

ordered_json settings_json(std::span<const OptionDescription> options) {
  ordered_json settings = ordered_json::object();
  for (const OptionDescription& option : options) {
    ordered_json* place = &settings;
    for (const std::string& key : split(option.path, '.')) place = &(*place)[key];
    if (option.is_section) {
      *place = ordered_json::object();
    } else {
      *place = value_of(parse_yaml(option.value, option.path));
    }
  }
  return settings;
}

std::vector<BenchmarkRun> plan_runs(const ScoringOptions& scoring, const std::string& label) {
  std::vector<BenchmarkRun> runs;
  const fs::path out = !scoring.out.empty() ? fs::path(scoring.out) : fs::path("runs") / label;
  if (scoring.benchmark != kAll) {
    const Benchmark& benchmark = find_benchmark(scoring.benchmark);
    add_runs(benchmark, data_path(scoring.data, scoring.benchmark), out,
             scoring.out.empty() ? scoring.benchmark : "", runs);
    return runs;
  }
  const fs::path root = data_path(scoring.data, "");
  std::vector<std::string> known;
  for (const Benchmark& benchmark : all_benchmarks()) {
    known.emplace_back(benchmark.name);
    std::error_code ignored;
    if (fs::is_directory(root / benchmark.name, ignored)) {
      add_runs(benchmark, root / benchmark.name, out, std::string(benchmark.name), runs);
    }
  }
  if (runs.empty()) {
    throw usage_error("--data: {}: holds no benchmark's folder, expected one or more of {}", root.string(),
                      join(known, ", "));
  }
  return runs;
}

StoreOpening store_opening(const ScoringOptions& scoring) {
  if (scoring.judge_only) return StoreOpening::kJudge;
  return scoring.resume ? StoreOpening::kResume : StoreOpening::kNew;
}

std::vector<std::pair<std::string, std::string>> data_options(const BenchmarkRun& run,
                                                              const ScoringOptions& scoring) {
  return {{"--limit", std::to_string(scoring.limit)},
          {"--skip-missing", scoring.skip_missing ? "given" : "not given"},
          {"--data", run.data.string()}};
}

std::optional<RunResult> stored_result(const fs::path& out) {
  const fs::path file = out / "result.json";
  if (!is_there(file)) return std::nullopt;
  try {
    return read_result(file);
  } catch (const Error& error) {
    log_warning("{}; it is written again", error.what());
    return std::nullopt;
  }
}

std::optional<RunResult> earlier_result(const std::string& command, const BenchmarkRun& run) {
  std::optional<RunResult> result = stored_result(run.out);
  if (!result) return std::nullopt;
  const auto check = [&](const char* what, const std::string& stored, const std::string& own) {
    if (stored == own) return;
    throw usage_error("{}: belongs to another run: its {} is {}, this run's is {}; give another --out",
                      (run.out / "result.json").string(), what, stored, own);
  };
  check("command", result->command, command);
  check("benchmark", result->benchmark, std::string(run.benchmark->name));
  return result;
}

std::string judging_difference(const RunResult& earlier, const ordered_json& judging) {
  const ordered_json stored = earlier.settings.flatten();
  const ordered_json own = judging.flatten();
  for (const auto& [pointer, value] : own.items()) {
    const ordered_json old = stored.value(pointer, ordered_json());
    if (old == value) continue;
    std::string name = pointer.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    return fmt::format("its {} is {}, this run's is {}", name, old.is_null() ? "not set" : old.dump(),
                       value.is_null() ? "not set" : value.dump());
  }
  return {};
}

bool is_finished(const RunResult& earlier, const ScoreStore& store, const ordered_json& judging) {
  return store.has_marks() && earlier.model.sha256 == store.identity().model_sha256 &&
         judging_difference(earlier, judging).empty();
}

void print_result(const RunResult& result, const CaseTable& table) {
  std::fputs(format_terminal(metric_table(result.metrics)).c_str(), stdout);
  std::fputs(format_groups_of_one(result.metrics).c_str(), stdout);
  if (result.matches > 0) {
    std::printf("%lld matches, %.3g s per match (%.3g s of scoring)\n",
                static_cast<long long>(result.matches), result.seconds_a_match,
                result.seconds_a_match * static_cast<double>(result.matches));
  }
  if (table.skipped_missing > 0) {
    log_warning("{} cases left out, as {} images are missing", table.skipped_missing,
                table.missing_files.size());
  }
}

std::vector<Metric> finish_run(const std::string& command, const BenchmarkRun& run, const CaseTable& table,
                               const ScoredRun& scored, ordered_json settings, double seconds,
                               ScoreStore& store) {
  const std::vector<MetricMarks> marks = run.benchmark->judge(table, scored.scores);
  store.write_scores(table, scored.scores);
  store.write_marks(marks);
  store.flush();

  RunResult result = new_result(command, std::string(run.benchmark->name));
  result.model = {scored.identity.model_name, scored.identity.model_sha256};
  result.settings = std::move(settings);
  result.seconds = seconds;
  result.skipped_missing = table.skipped_missing;
  result.work = scored.work;
  result.matches = scored.matches;
  if (scored.matches > 0) result.seconds_a_match = scored.work.seconds / static_cast<double>(scored.matches);
  result.metrics = summarise(marks);
  write_result(run.out / "result.json", result);
  print_result(result, table);
  return result.metrics;
}

void print_overview(const std::vector<std::pair<BenchmarkRun, std::vector<Metric>>>& runs) {
  if (runs.size() < 2) return;
  Table table{{"metric", "value [95%]", "n", "ties"}, {}};
  for (const auto& [run, metrics] : runs) {
    for (const std::string_view name : run.benchmark->headline) {
      const std::optional<Metric> metric = find_metric(metrics, name);
      if (!metric) continue;
      const std::string label = run.data_set.empty() ? metric->name : run.data_set + ": " + metric->name;
      table.rows.push_back(
          {label, format_with_interval(*metric), std::to_string(metric->n), std::to_string(metric->ties)});
    }
  }
  std::fputs("\n", stdout);
  std::fputs(format_terminal(table).c_str(), stdout);
}

}  // namespace sdsclip

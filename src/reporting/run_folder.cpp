#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"
#include "sdsclip/reporting/report.h"

namespace sdsclip {
namespace {

const fs::path kResult = "result.json";
const fs::path kLog = "log.jsonl";

bool holds_run(const fs::path& folder) {
  return fs::exists(folder / kResult) || fs::exists(folder / kLog);
}

// The losses are in the order in which the log first names them.
std::vector<LossCurve> read_losses(const fs::path& path) {
  std::vector<LossCurve> curves;
  std::unordered_map<std::string, std::size_t> place_of;
  const std::string text = read_file(path);
  std::int64_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string::npos) break;  // the run is writing this line, or was killed meanwhile
    const std::string_view line = std::string_view(text).substr(start, end - start);
    start = end + 1;
    ++number;
    if (line.empty()) continue;
    const std::string where = fmt::format("{}: line {}", path.string(), number);
    const ordered_json parsed = parse_json_value(line, where);
    const JsonRecord record(parsed, where);
    const std::int64_t step = record.count("step");
    for (const auto& [name, value] : record.child("loss").object().items()) {
      if (!value.is_number()) continue;
      const auto [place, is_new] = place_of.emplace(name, curves.size());
      if (is_new) curves.push_back({.name = name, .steps = {}, .values = {}});
      LossCurve& curve = curves[place->second];
      curve.steps.push_back(step);
      curve.values.push_back(value.get<double>());
    }
  }
  return curves;
}

ReportRun read_run(const fs::path& folder) {
  ReportRun run{.name = folder.string(), .result = std::nullopt, .losses = {}};
  if (fs::exists(folder / kResult)) run.result = read_result(folder / kResult);
  if (fs::exists(folder / kLog)) run.losses = read_losses(folder / kLog);
  return run;
}

}  // namespace

std::vector<ReportRun> read_runs(const fs::path& folder) {
  if (holds_run(folder)) return {read_run(folder)};
  std::vector<fs::path> folders;
  if (fs::is_directory(folder)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.is_directory() && holds_run(entry.path())) folders.push_back(entry.path());
    }
  }
  if (folders.empty()) {
    throw input_error("{}: no run here: expected result.json or log.jsonl, or folders that hold one",
                      folder.string());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<ReportRun> runs;
  for (const fs::path& path : folders) runs.push_back(read_run(path));
  return runs;
}

}  // namespace sdsclip

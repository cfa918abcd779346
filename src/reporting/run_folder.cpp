#include <algorithm>
#include <map>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"
#include "sdsclip/reporting/report.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

const fs::path kResult = "result.json";
const fs::path kLog = "log.jsonl";

bool holds_run(const fs::path& folder) {
  return fs::exists(folder / kResult) || fs::exists(folder / kLog);
}

// The losses keep the order in which the log first names them.
std::vector<LossCurve> read_losses(const fs::path& path) {
  std::vector<LossCurve> curves;
  std::int64_t number = 0;
  for (const std::string& text : split(read_file(path), '\n')) {
    ++number;
    if (text.empty()) continue;
    const ordered_json line = ordered_json::parse(text, nullptr, false);
    const bool well_formed = line.is_object() && line.contains("step") && line["step"].is_number_integer() &&
                             line.contains("loss") && line["loss"].is_object();
    if (!well_formed)
      throw input_error("{}: line {}: expected {{\"step\": N, \"loss\": {{...}}}}", path.string(), number);
    for (const auto& [name, value] : line["loss"].items()) {
      if (!value.is_number()) continue;
      auto curve =
          std::find_if(curves.begin(), curves.end(), [&](const LossCurve& c) { return c.name == name; });
      if (curve == curves.end())
        curve = curves.insert(curves.end(), {.name = name, .steps = {}, .values = {}});
      curve->steps.push_back(line["step"].get<std::int64_t>());
      curve->values.push_back(value.get<double>());
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

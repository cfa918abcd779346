#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/reporting/result.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {

/// One loss over a training run, as `log.jsonl` has it.
struct LossCurve {
  std::string name;  ///< `total`, `contrastive`, `sds`, ...
  std::vector<std::int64_t> steps;
  std::vector<double> values;
};

/// What a run folder holds: a scoring run's result, a training run's losses, or both.
struct ReportRun {
  std::string name;  ///< the folder, as given
  std::optional<RunResult> result;
  std::vector<LossCurve> losses;
};

/// The run in `folder`, or, where it holds none itself, those in its sub-folders (`eval all` leaves one a
/// benchmark), by name. Throws `Error(kInput)` where there is neither `result.json` nor `log.jsonl`, or one
/// cannot be read.
std::vector<ReportRun> read_runs(const std::filesystem::path& folder);

/// A row a scoring run: its time a match, and how many times that of the fastest `eval` run of the same
/// benchmark it is (`-` where there is none). The paper puts the diffusion score at 18 times CLIP's. No rows
/// where no run says its time.
Table time_table(std::span<const ReportRun> runs);

/// One HTML page that needs no other file: the runs, a table and a figure of the headline metrics a
/// benchmark, time a match, loss curves, and the runs' numbers beside the paper's Tables 1-3 where they
/// measure the same.
std::string html_report(std::span<const ReportRun> runs);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/reporting/result.h"
#include "sdsclip/reporting/table.h"

namespace sdsclip {

/// One loss over a training run, from `log.jsonl`.
struct LossCurve {
  std::string name;  ///< `total`, `contrastive`, `sds`, ...
  std::vector<std::int64_t> steps;
  std::vector<double> values;
};

/// The content of a run folder: a scoring run's result, a training run's losses, or both.
struct ReportRun {
  std::string name;  ///< the folder, as given
  std::optional<RunResult> result;
  std::vector<LossCurve> losses;
};

/// Reads the run in `folder`, or, if `folder` itself holds none, the runs in its sub-folders (`eval all`
/// writes one per benchmark), sorted by name. Throws `Error(kInput)` if there is neither `result.json` nor
/// `log.jsonl`, or if one cannot be read.
std::vector<ReportRun> read_runs(const fs::path& folder);

/// One row per scoring run: its time per match, also as a multiple of the fastest `eval` run of the same
/// benchmark (`-` if there is none). The paper reports 18 times CLIP's time for the diffusion score. The
/// table is empty if no run has its time.
Table time_table(std::span<const ReportRun> runs);

/// One self-contained HTML page: the runs, one table and one figure of headline metrics per benchmark, time
/// per match, loss curves, and the runs' results beside the paper's Tables 1 to 3 where both have them.
std::string html_report(std::span<const ReportRun> runs);

}  // namespace sdsclip

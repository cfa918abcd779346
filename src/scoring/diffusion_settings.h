#pragma once

#include "sdsclip/models/device.h"
#include "sdsclip/scoring/diffusion_options.h"
#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// The options that change a stored error, as the settings of a run's identity: without the number of
/// samples, which may grow, and with the estimator only where adaptive decisions depend on it.
std::vector<std::pair<std::string, std::string>> identity_settings(const DiffusionScoreOptions& options,
                                                                   const Placement& placement);

/// The options of a stored run, as far as its identity states them.
DiffusionScoreOptions options_of_run(const RunIdentity& identity);

/// The same, from a file that is not trusted: `Error(kInput)` where they make no sense.
DiffusionScoreOptions options_of_run(const ScoreStore& store);

}  // namespace sdsclip

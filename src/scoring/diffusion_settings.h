#pragma once

#include "sdsclip/models/device.h"
#include "sdsclip/scoring/diffusion_options.h"
#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// The options that change a stored error, as settings of the run's identity. The number of samples, which
/// may grow, is left out; the estimator is included only if adaptive decisions depend on it.
std::vector<std::pair<std::string, std::string>> identity_settings(const DiffusionScoreOptions& options,
                                                                   const Placement& placement);

/// The options of a stored run, as far as its identity contains them.
DiffusionScoreOptions options_of_run(const RunIdentity& identity);

/// The same from an untrusted file. Throws `Error(kInput)` if the options are invalid.
DiffusionScoreOptions options_of_run(const ScoreStore& store);

}  // namespace sdsclip

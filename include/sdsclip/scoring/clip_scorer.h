#pragma once

#include <cstdint>
#include <string>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/scoring/clip_options.h"
#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

struct ClipScoring {
  CaseScores scores;
  WorkCounters work;         ///< summed over the start and all resumes
  std::int64_t matches = 0;  ///< (case, image, caption) scores
};

/// `model_sha256` is the bundle's digest, or one that also covers the tuned weights.
RunIdentity clip_run_identity(const Bundle& bundle, const Placement& placement,
                              const std::string& model_sha256, const std::string& benchmark,
                              const ClipScoreOptions& options);
RunIdentity clip_run_identity(const ClipModel& model, const std::string& model_sha256,
                              const std::string& benchmark, const ClipScoreOptions& options);

/// Fills the score matrix with cosines of unit-norm embeddings. CLIP's logit is the cosine times
/// exp(logit_scale), a positive constant of the model, so every ranking and metric is the same.
///
/// Each image and each text is decoded, tokenized and encoded once, in units of a fixed shape; the last unit
/// is padded. Other threads decode ahead. Embeddings are stored, and stored units are not computed again. The
/// embedding of a caption of several texts is the average of their unit-norm embeddings, normalised again
/// (CLIP_benchmark, zeroshot_classification.py). If the bundle allows it (`BundleTokenizer::any_length`),
/// padding after a unit's longest text is cut.
///
/// With `cache`, a unit is encoded only if one of its embeddings is not in that folder; new embeddings are
/// added to it.
///
/// Throws `Error(kInput)` that names an image or text that cannot be used, `Error(kRuntime)` if an embedding
/// is not finite, and `Error(kInterrupted)` between units.
/// that is not finite, `Error(kInterrupted)` between units.
ClipScoring score_with_clip(const ClipModel& model, const CaseTable& table, const ClipScoreOptions& options,
                            ScoreStore& store);

/// The scores of a complete store, without the model. Throws `Error(kInput)` if units are missing.
ClipScoring judge_stored_clip(const CaseTable& table, const ScoreStore& store);

}  // namespace sdsclip

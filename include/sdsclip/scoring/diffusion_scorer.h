#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/metrics.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/scoring/diffusion_options.h"
#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

struct DiffusionScoring {
  CaseScores scores;
  ScoringWork work;                     ///< of all lives of the run
  std::int64_t matches = 0;             ///< (case, image, caption) scores
  std::int64_t sample_evaluations = 0;  ///< (image, text, sample) errors that the scores use
  std::int64_t full_evaluations = 0;    ///< how many they would be without `adaptive`
};

/// What a stored run is compared by. Settings that only judge (norm, weight, ...) are no part of it unless
/// the adaptive decisions depend on them, nor is the number of samples where more can be added.
RunIdentity diffusion_run_identity(const Bundle& bundle, const Placement& placement,
                                   const std::string& benchmark, const DiffusionScoreOptions& options);
RunIdentity diffusion_run_identity(const DiffusionTeacher& teacher, const std::string& benchmark,
                                   const DiffusionScoreOptions& options);

/// How many samples per pair the options ask of a teacher, and how many the run in the store was last asked
/// for; 0: it has not begun.
std::int64_t planned_samples(const Bundle& teacher, const SamplingOptions& sampling);
std::int64_t stored_samples(const ScoreStore& store);

/// Fills the score matrix with `-d(x, c)`, higher is better, where (SDS-CLIP, equations 1 and 2)
///
///     d(x, c) = sum_k w(t_k) || eps_theta(sqrt(abar_t_k) z + sqrt(1 - abar_t_k) eps_k, t_k, c) - eps_k ||^2
///               / sum_k w(t_k)
///
/// with z the VAE's posterior mean of x. t_k and eps_k are functions of (seed, k) alone, hence common to
/// all captions and images. Each latent and each context is computed once, noised latents are shared by the
/// captions of an image, UNet batches are filled across cases, and every error is stored as it comes; errors
/// that are stored already are not computed again, whatever the batch sizes were. A caption of several texts
/// has the mean of their scores.
///
/// Throws `Error(kInput)` that names the image or text that cannot be used, `Error(kRuntime)` on an error
/// that is not finite or on too little memory, `Error(kInterrupted)` between units.
DiffusionScoring score_with_diffusion(DiffusionTeacher& teacher, const CaseTable& table,
                                      const DiffusionScoreOptions& options, ScoreStore& store);

/// What judging a stored run goes by: the run's own sampling, the estimator of `given`, and of both the race.
/// The errors of a uniform run can be raced as `given.adaptive` says: what an adaptive run with these options
/// would have answered, and spent. Throws `Error(kUsage)` where the run was raced by other options already,
/// or cannot be.
DiffusionScoreOptions judging_options(const DiffusionScoreOptions& given, const ScoreStore& store);

/// The scores of a complete store, without the model. `options` as `judging_options` gives them.
/// Throws `Error(kInput)` where samples are missing.
DiffusionScoring judge_stored_diffusion(const CaseTable& table, const DiffusionScoreOptions& options,
                                        const ScoreStore& store);

/// The metrics that the first `samples` samples of every pair give.
struct ConvergencePoint {
  std::int64_t samples = 0;
  std::int64_t sample_evaluations = 0;  ///< (image, text, sample) errors used
  std::vector<Metric> metrics;
};

/// Metric against number of samples, at 1, 2, 3, 5, 7, 10, ... and all of them, from stored errors. A run
/// with adaptive samples has no common prefix longer than the shortest: that is where the curve ends.
std::vector<ConvergencePoint> convergence_curve(const CaseTable& table, const Benchmark& benchmark,
                                                const EstimatorOptions& options, const ScoreStore& store);

}  // namespace sdsclip

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
  WorkCounters work;                    ///< summed over the run's start and all resumes
  std::int64_t matches = 0;             ///< number of (case, image, caption) scores
  std::int64_t sample_evaluations = 0;  ///< number of (image, text, sample) errors that the scores use
  std::int64_t full_evaluations = 0;    ///< the same number without `adaptive`
};

/// The settings by which a stored run is recognized. Settings that only affect judging (norm, weight, ...)
/// are left out unless adaptive decisions depend on them. The number of samples is left out if more can be
/// added.
RunIdentity diffusion_run_identity(const Bundle& bundle, const Placement& placement,
                                   const std::string& benchmark, const DiffusionScoreOptions& options);
RunIdentity diffusion_run_identity(const DiffusionTeacher& teacher, const std::string& benchmark,
                                   const DiffusionScoreOptions& options);

/// The number of samples per pair that the options ask for with this teacher, and the number that the run in
/// `store` was last asked for (0 if it has not begun).
std::int64_t planned_samples(const Bundle& teacher, const SamplingOptions& sampling);
std::int64_t stored_samples(const ScoreStore& store);

/// Fills the score matrix with `-d(x, c)`, higher is better, where (SDS-CLIP, equations 1 and 2)
///
///     d(x, c) = sum_k w(t_k) || eps_theta(sqrt(abar_t_k) z + sqrt(1 - abar_t_k) eps_k, t_k, c) - eps_k ||^2
///               / sum_k w(t_k)
///
/// with z the VAE's posterior mean of x. t_k and eps_k are functions of (seed, k) alone, so all captions and
/// images share them. Each latent and each context is computed once. The captions of an image share its
/// noised latents, and UNet batches are filled across cases. Every error is stored as soon as it is computed;
/// stored errors are not computed again, whatever the batch sizes were. The score of a caption of several
/// texts is the mean of their scores.
///
/// Throws `Error(kInput)` that names an image or text that cannot be used, `Error(kRuntime)` if an error is
/// not finite or memory is too small, and `Error(kInterrupted)` between units.
DiffusionScoring score_with_diffusion(DiffusionTeacher& teacher, const CaseTable& table,
                                      const DiffusionScoreOptions& options, ScoreStore& store);

/// The options for judging a stored run: its own sampling, the estimator of `given`, and the adaptive options
/// of the run or of `given`. A uniform run can be judged with `given.adaptive`: this gives the answers and
/// the cost that an adaptive run with these options would have had. Throws `Error(kUsage)` if the run already
/// used other adaptive options, or if its errors do not allow it.
DiffusionScoreOptions judging_options(const DiffusionScoreOptions& given, const ScoreStore& store);

/// The scores of a complete store, without the model. `options` come from `judging_options`. Throws
/// `Error(kInput)` if samples are missing.
DiffusionScoring judge_stored_diffusion(const CaseTable& table, const DiffusionScoreOptions& options,
                                        const ScoreStore& store);

/// The metrics computed from the first `samples` samples of every pair.
struct ConvergencePoint {
  std::int64_t samples = 0;
  std::int64_t sample_evaluations = 0;  ///< (image, text, sample) errors used
  std::vector<Metric> metrics;
};

/// Metrics against the number of samples, at 1, 2, 3, 5, 7, 10, ... and all samples, from stored errors. In
/// an adaptive run the curve ends at the smallest number of samples of any pair.
std::vector<ConvergencePoint> convergence_curve(const CaseTable& table, const Benchmark& benchmark,
                                                const EstimatorOptions& options, const ScoreStore& store);

}  // namespace sdsclip

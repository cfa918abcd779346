#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/scoring/score_store.h"

namespace sdsclip {

/// Timestep weights learned from stored errors: w(t) = weights[floor(t * bins / train_timesteps)].
struct TimestepWeights {
  std::int64_t train_timesteps = 1000;
  std::vector<double> weights;  ///< one per bin of equal width; positive, with mean 1
  [[nodiscard]] double at(std::int64_t timestep) const;
};

void visit_options(OptionVisitor& visitor, TimestepWeights& weights);

/// Reads a JSON file. Throws `Error(kInput)` that names file and key if anything is malformed.
TimestepWeights read_timestep_weights(const std::filesystem::path& path);
void write_timestep_weights(const std::filesystem::path& path, const TimestepWeights& weights);

struct WeightFitOptions {
  std::int64_t train_timesteps = 1000;  ///< of the teacher
  std::int64_t bins = 10;               ///< parts of the range of timesteps
  double ridge = 0.01;                  ///< pull towards equal weights
  std::int64_t steps = 500;             ///< of projected gradient descent
};

/// A stored diffusion run and its cases.
struct StoredRun {
  const CaseTable* table = nullptr;
  const ScoreStore* store = nullptr;
};

/// The number of timesteps of the teacher that made the run; 1000 if the store does not say.
std::int64_t train_timesteps_of(const ScoreStore& store);

/// Fits the weights to the runs' cases by logistic regression, after Clark and Jaini (2023, section 3.2), who
/// use a held-out part. The probability that an image's correct caption beats a wrong one is sigma(sum_b w_b
/// x_b) with w_b >= 0. x_b is the mean over the bin's samples of e(wrong) - e(right), scaled to unit variance
/// over all bins. Correct are the case's `positives`, or, if it has none, caption i of image i (the order in
/// every benchmark's case table).
///
/// Throws `Error(kInput)` if no case has both a correct and a wrong caption.
TimestepWeights fit_timestep_weights(std::span<const StoredRun> runs, const WeightFitOptions& options = {});

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/scoring/diffusion_options.h"
#include "sdsclip/scoring/score_store.h"

// The estimator of the diffusion score: the timesteps, and how errors become scores. All of it is arithmetic
// on stored numbers; docs/diffusion-score.md has the equations.
namespace sdsclip {

/// The timestep t_k of every sample k. `kNested` is t_k = floor((t_min + (t_max - t_min) frac(phi(k) + s)) T)
/// with phi van der Corput's radical inverse in base 2 and s uniform in [0, 1) from the seed. The first 2^m
/// samples have one in each 2^m-th of the (cyclic) range, and each t_k is uniform over the seeds. The other
/// grids are those of the public implementations; like the original, diffusion-itm's may have a few samples
/// less or more than requested.
std::vector<std::int64_t> sample_timesteps(const SamplingOptions& options, std::int64_t train_timesteps);

/// The errors of samples k = 0, 1, ... of every (image, text) pair.
class ErrorTable {
 public:
  struct Errors {
    std::vector<double> l2;  ///< sums of squares
    std::vector<double> l1;  ///< sums of absolute values
  };
  /// Samples of a pair must be added in order. Throws `Error(kInput)` if one is out of order.
  void add(const SampleErrorRow& row);
  [[nodiscard]] const Errors& of(std::int32_t image, std::int32_t text) const;
  [[nodiscard]] std::int64_t count(std::int32_t image, std::int32_t text) const;

 private:
  std::unordered_map<std::uint64_t, Errors> errors_;
};

ErrorTable error_table(std::span<const SampleErrorRow> rows);

/// Turns errors into distances d(x, c), lower is better.
class Estimator {
 public:
  /// Reads the file of learned weights if the options name one.
  Estimator(const EstimatorOptions& options, std::span<const SamplePoint> points);

  /// The first `samples` weighted terms of d(x, c), w(t_k) e_k: the mean over the caption's texts, minus the
  /// unconditional term if the options say so. Throws `Error(kInput)` if there are fewer samples.
  [[nodiscard]] std::vector<double> terms(const ErrorTable& errors, const TextTable& texts,
                                          std::int32_t image, std::int32_t caption,
                                          std::int64_t samples) const;
  /// The weighted mean: sum_k terms[k] / sum_k w(t_k).
  [[nodiscard]] double mean(std::span<const double> terms) const;

  [[nodiscard]] const EstimatorOptions& options() const { return options_; }
  [[nodiscard]] const std::vector<SamplePoint>& points() const { return points_; }

 private:
  [[nodiscard]] double measure(const ErrorTable::Errors& errors, std::size_t sample) const;

  EstimatorOptions options_;
  std::vector<SamplePoint> points_;
  std::vector<double> weights_;  // w(t_k)
};

/// An (image, text) pair that the UNet must evaluate.
struct ScoredPair {
  std::int32_t image = 0;
  std::int32_t text = 0;

  [[nodiscard]] std::uint64_t key() const;  ///< for hashing
};

/// Every pair of an image and a caption's text that the cases need, each once, in the order of the cases.
/// Throws `Error(kUsage)` if there are too many to compute.
std::vector<ScoredPair> caption_pairs(const CaseTable& table, const TextTable& texts);

/// The pairs of the same images with the empty text, without those that are already caption pairs.
std::vector<ScoredPair> unconditional_pairs(const TextTable& texts,
                                            std::span<const ScoredPair> caption_pairs);

/// Throws `Error(kInput)` that names image and caption if a score is infinite or NaN.
void check_finite(const CaseScores& scores, const CaseTable& table);

/// The scores -d(x, c) from the first `samples` samples of every pair.
CaseScores score_cases(const CaseTable& table, const TextTable& texts, const Estimator& estimator,
                       const ErrorTable& errors, std::int64_t samples);

}  // namespace sdsclip

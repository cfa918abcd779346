#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "estimator.h"

// What the UNet has to see, cut into batches.
namespace sdsclip {

/// One UNet evaluation.
struct Evaluation {
  std::int32_t image = 0;   ///< row of `CaseTable::images`
  std::int32_t text = 0;    ///< row of `TextTable::texts`
  std::int32_t sample = 0;  ///< k
};

/// Samples `first` to `last - 1` of a pair.
struct PairSamples {
  ScoredPair pair;
  std::int64_t first = 0;
  std::int64_t last = 0;
};

/// Batches of at most `size` evaluations; shorter ones are padded to it.
struct EvaluationUnits {
  std::int64_t size = 0;
  std::vector<std::vector<Evaluation>> units;
};

/// Every pair's samples 0 to `samples - 1`. A unit is one sample of a block of neighbouring pairs, so the
/// units of a smaller number of samples are among those of a larger one: a run can be extended to the same
/// bits.
EvaluationUnits uniform_units(std::span<const ScoredPair> pairs, std::int64_t samples, std::int64_t at_most);

/// The work of one adaptive round. Units are filled across pairs and samples; the order keeps an image's and
/// a text's evaluations near one another.
EvaluationUnits round_units(std::span<const PairSamples> work, std::int64_t at_most);

}  // namespace sdsclip

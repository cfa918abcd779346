#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "estimator.h"

// Plans which evaluations the UNet must do, and in which batches.
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

/// Plans samples 0 to `samples - 1` of every pair. A unit is one sample of a block of neighbouring pairs. The
/// units of fewer samples are therefore among those of more samples, and an extended run has the same bits.
EvaluationUnits uniform_units(std::span<const ScoredPair> pairs, std::int64_t samples, std::int64_t at_most);

/// Plans the work of one adaptive round. Units are filled across pairs and samples; the order keeps
/// evaluations of the same image and text close together.
EvaluationUnits round_units(std::span<const PairSamples> work, std::int64_t at_most);

}  // namespace sdsclip

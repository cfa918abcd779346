#include "diffusion_plan.h"

#include <algorithm>

#include "unit_shape.h"

namespace sdsclip {
namespace {

// The number of pairs processed together, so few that their latents and contexts stay in the cache.
constexpr std::size_t kPairsTogether = 512;

}  // namespace

EvaluationUnits uniform_units(std::span<const ScoredPair> pairs, std::int64_t samples, std::int64_t at_most) {
  const UnitShape shape = even_units(static_cast<std::int64_t>(pairs.size()), at_most);
  EvaluationUnits result{.size = shape.size, .units = {}};
  for (std::int64_t block = 0; block < shape.units; ++block) {
    const std::size_t first = static_cast<std::size_t>(block * shape.size);
    const std::size_t count = std::min(static_cast<std::size_t>(shape.size), pairs.size() - first);
    for (std::int32_t k = 0; k < samples; ++k) {
      std::vector<Evaluation>& unit = result.units.emplace_back();
      for (const ScoredPair& pair : pairs.subspan(first, count)) {
        unit.push_back({.image = pair.image, .text = pair.text, .sample = k});
      }
    }
  }
  return result;
}

EvaluationUnits round_units(std::span<const PairSamples> work, std::int64_t at_most) {
  std::vector<Evaluation> all;
  for (std::size_t first = 0; first < work.size(); first += kPairsTogether) {
    const std::span<const PairSamples> together =
        work.subspan(first, std::min(kPairsTogether, work.size() - first));
    std::int64_t begin = together.front().first;
    std::int64_t end = together.front().last;
    for (const PairSamples& item : together) {
      begin = std::min(begin, item.first);
      end = std::max(end, item.last);
    }
    for (std::int64_t k = begin; k < end; ++k) {
      for (const PairSamples& item : together) {
        if (k < item.first || k >= item.last) continue;
        all.push_back(
            {.image = item.pair.image, .text = item.pair.text, .sample = static_cast<std::int32_t>(k)});
      }
    }
  }
  const UnitShape shape = even_units(static_cast<std::int64_t>(all.size()), at_most);
  EvaluationUnits result{.size = shape.size, .units = {}};
  for (std::size_t first = 0; first < all.size(); first += static_cast<std::size_t>(shape.size)) {
    const std::size_t last = std::min(all.size(), first + static_cast<std::size_t>(shape.size));
    result.units.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(first),
                              all.begin() + static_cast<std::ptrdiff_t>(last));
  }
  return result;
}

}  // namespace sdsclip

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace sdsclip {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): four random words as a
/// pure function of a key and a counter. A draw depends on its purpose, never on earlier draws. The order of
/// work, the number of workers and a restart therefore change nothing.
std::array<std::uint32_t, 4> philox4x32_10(const std::array<std::uint32_t, 4>& counter,
                                           const std::array<std::uint32_t, 2>& key);

/// Four random words: draw `index` of stream `stream` with seed `seed`.
std::array<std::uint32_t, 4> philox4x32(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);

/// The number of the stream for a purpose such as "synth/train" (FNV-1a, 64 bits).
std::uint64_t stream_of(std::string_view purpose);

/// Combines a stream with one more part of the key (a step, an epoch), because draws take only (seed, stream,
/// index).
std::uint64_t substream(std::uint64_t stream, std::uint64_t part);

/// A uniform double in [0, 1) with 53 random bits.
double uniform_draw(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);

/// Fills `out` with standard normal draws; element `i` is draw `first + i` of the stream (Box-Muller on pairs
/// of a block). Any part of a stream can be made without the rest. `first` must be a multiple of 4.
void fill_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t first, std::span<float> out);

/// Successive draws from one stream, for code that makes a variable number of choices, such as drawing a
/// scene. It is a generator for the standard library's distributions.
class RandomSequence {
 public:
  using result_type = std::uint32_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return next_word(); }

  RandomSequence(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  std::uint32_t next_word();
  /// In [0, 1), 32 random bits.
  double uniform() { return static_cast<double>(next_word()) * 0x1.0p-32; }
  double uniform(double low, double high);   ///< in [low, high)
  std::uint32_t below(std::uint32_t bound);  ///< in [0, bound), unbiased; bound >= 1
  /// True with that probability.
  bool chance(double probability) { return uniform() < probability; }

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t block_index_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned int used_ = 4;
};

}  // namespace sdsclip

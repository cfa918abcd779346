#include "sdsclip/base/random.h"

#include <cmath>
#include <numbers>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

// Multipliers and Weyl constants of the published generator.
constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

constexpr std::uint32_t low_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32_10(const std::array<std::uint32_t, 4>& counter,
                                           const std::array<std::uint32_t, 2>& key) {
  std::array<std::uint32_t, 4> x = counter;
  std::uint32_t key0 = key[0];
  std::uint32_t key1 = key[1];
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kMultiplier0} * x[0];
    const std::uint64_t product1 = std::uint64_t{kMultiplier1} * x[2];
    x = {high_word(product1) ^ x[1] ^ key0, low_word(product1), high_word(product0) ^ x[3] ^ key1,
         low_word(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return x;
}

std::array<std::uint32_t, 4> philox4x32(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return philox4x32_10({low_word(index), high_word(index), low_word(stream), high_word(stream)},
                       {low_word(seed), high_word(seed)});
}

std::uint64_t stream_of(std::string_view purpose) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : purpose) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

std::uint64_t substream(std::uint64_t stream, std::uint64_t part) {
  const std::array<std::uint32_t, 4> mixed = philox4x32(stream, part, 0);
  return (std::uint64_t{mixed[1]} << 32) | mixed[0];
}

double uniform_draw(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const std::array<std::uint32_t, 4> block = philox4x32(seed, stream, index);
  const std::uint64_t bits = ((std::uint64_t{block[1]} << 32) | block[0]) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

void fill_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t first, std::span<float> out) {
  if (first % 4 != 0) throw runtime_failure("fill_normal: got first = {}, expected a multiple of 4", first);
  for (std::size_t base = 0; base < out.size(); base += 4) {
    const std::array<std::uint32_t, 4> block = philox4x32(seed, stream, first / 4 + base / 4);
    std::array<float, 4> normals{};
    for (std::size_t pair = 0; pair < 4; pair += 2) {
      // In (0, 1], so that the logarithm is finite.
      const double u = (static_cast<double>(block[pair]) + 1.0) * 0x1.0p-32;
      const double angle = 2.0 * std::numbers::pi * static_cast<double>(block[pair + 1]) * 0x1.0p-32;
      const double radius = std::sqrt(-2.0 * std::log(u));
      normals[pair] = static_cast<float>(radius * std::cos(angle));
      normals[pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
    for (std::size_t i = 0; i < 4 && base + i < out.size(); ++i) out[base + i] = normals[i];
  }
}

std::uint32_t RandomSequence::next_word() {
  if (used_ == 4) {
    block_ = philox4x32(seed_, stream_, block_index_++);
    used_ = 0;
  }
  return block_[used_++];
}

double RandomSequence::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

std::uint32_t RandomSequence::below(std::uint32_t bound) {
  // Reject the few words that would make small remainders more likely.
  const std::uint32_t threshold = (0U - bound) % bound;
  while (true) {
    const std::uint32_t word = next_word();
    if (word >= threshold) return word % bound;
  }
}

}  // namespace sdsclip

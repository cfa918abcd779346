#include "sdsclip/data/sample_order.h"

#include "sdsclip/base/random.h"

namespace sdsclip {
namespace {

constexpr int kRounds = 6;

}  // namespace

SampleOrder::SampleOrder(std::int64_t size, std::uint64_t seed, std::int64_t epoch)
    : size_(size),
      seed_(seed),
      stream_(substream(stream_of("data/order"), static_cast<std::uint64_t>(epoch))) {
  while ((std::uint64_t{1} << (2 * half_bits_)) < static_cast<std::uint64_t>(size)) ++half_bits_;
}

std::uint64_t SampleOrder::permute(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::array<std::uint32_t, 4> block = philox4x32(seed_, substream(stream_, round), right);
    const std::uint64_t mixed = left ^ (((std::uint64_t{block[1]} << 32) | block[0]) & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits_) | right;
}

std::int64_t SampleOrder::sample_at(std::int64_t position) const {
  std::uint64_t value = static_cast<std::uint64_t>(position);
  do {
    value = permute(value);
  } while (value >= static_cast<std::uint64_t>(size_));
  return static_cast<std::int64_t>(value);
}

std::int64_t choose_text(std::int64_t count, std::uint64_t seed, std::int64_t epoch, std::int64_t sample,
                         const char* purpose) {
  const std::uint64_t stream = substream(stream_of(purpose), static_cast<std::uint64_t>(epoch));
  RandomSequence random(seed, substream(stream, static_cast<std::uint64_t>(sample)));
  return random.below(static_cast<std::uint32_t>(count));
}

}  // namespace sdsclip

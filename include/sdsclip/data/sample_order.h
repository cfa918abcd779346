#pragma once

#include <cstdint>

namespace sdsclip {

/// The shuffled order of one epoch, as a function of its key alone: position to sample without a stored list,
/// so that 3.3 million pairs cost nothing and any position can be had at once after a restart.
///
/// A balanced Feistel network on the smallest even number of bits that holds `size`, with Philox as its round
/// function, and cycle walking back into the range (Black and Rogaway, "Ciphers with arbitrary finite
/// domains", 2002).
class SampleOrder {
 public:
  /// `size` is 1 or more, and at most 2^62.
  SampleOrder(std::int64_t size, std::uint64_t seed, std::int64_t epoch);

  /// The sample at `position`; both count from 0 to `size - 1`, and no two positions give the same sample.
  [[nodiscard]] std::int64_t sample_at(std::int64_t position) const;

 private:
  [[nodiscard]] std::uint64_t permute(std::uint64_t value) const;

  std::int64_t size_;
  std::uint64_t seed_;
  std::uint64_t stream_;
  unsigned int half_bits_ = 1;
};

/// Which of a sample's `count` texts (1 or more) epoch `epoch` uses: uniform, a function of the key alone.
/// `purpose` keeps choices apart, such as captions and negative captions.
std::int64_t choose_text(std::int64_t count, std::uint64_t seed, std::int64_t epoch, std::int64_t sample,
                         const char* purpose);

}  // namespace sdsclip

#pragma once

#include <cstdint>

namespace sdsclip {

/// The shuffled order of one epoch as a function of its key alone. No list is stored, so 3.3 million pairs
/// take no memory, and a restart reaches any position at once.
///
/// The permutation is a balanced Feistel network with Philox as its round function, on the smallest even
/// number of bits that holds `size`. Cycle walking keeps results in range (Black and Rogaway, "Ciphers with
/// arbitrary finite domains", 2002).
class SampleOrder {
 public:
  /// `size` is 1 to 2^62.
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

/// Which of a sample's `count` texts (1 or more) epoch `epoch` uses: uniform, and a function of the key
/// alone. `purpose` separates draws, such as captions and negative captions.
std::int64_t choose_text(std::int64_t count, std::uint64_t seed, std::int64_t epoch, std::int64_t sample,
                         const char* purpose);

}  // namespace sdsclip

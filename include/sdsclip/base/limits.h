#pragma once

#include <cstdint>

// The largest counts that an option takes. What is beyond them can only be a slip of the hand, and would end
// a run late, in an allocation or an overflow.
namespace sdsclip {

inline constexpr std::int64_t kMostCount = (std::int64_t{1} << 31) - 1;  ///< steps, cases, samples, bins
inline constexpr std::int64_t kMostBatch = std::int64_t{1} << 20;  ///< items through a network at a time
inline constexpr std::int64_t kMostThreads = 4096;

}  // namespace sdsclip

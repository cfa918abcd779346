#pragma once

#include <algorithm>
#include <cstdint>

namespace sdsclip {

/// Calls `work(first, count)` for each micro-batch of `total` items; `size` 0 means one batch.
template <typename Work>
void for_each_micro_batch(std::int64_t total, std::int64_t size, Work&& work) {
  const std::int64_t micro = size > 0 ? std::min(size, total) : total;
  for (std::int64_t first = 0; first < total; first += micro) work(first, std::min(micro, total - first));
}

}  // namespace sdsclip

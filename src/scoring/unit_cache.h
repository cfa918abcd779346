#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>

namespace sdsclip {

/// Rows of a tensor that is computed unit by unit on demand and kept while there is room; the least recently
/// used units are dropped first. A dropped unit is computed again in the same shape, so it has the same bits.
class UnitCache {
 public:
  using Encode = std::function<at::Tensor(std::int64_t first, std::int64_t size)>;
  UnitCache(Encode encode, std::int64_t unit_size, std::int64_t capacity_bytes);

  /// Row `row` without the batch dimension.
  at::Tensor row(std::int64_t row);

 private:
  struct Entry {
    std::int64_t unit = 0;
    at::Tensor rows;
  };
  Encode encode_;
  std::int64_t unit_size_;
  std::int64_t capacity_bytes_;
  std::int64_t bytes_ = 0;
  std::list<Entry> by_use_;  // most recently used first
  std::unordered_map<std::int64_t, std::list<Entry>::iterator> find_;
};

}  // namespace sdsclip

#include "unit_cache.h"

namespace sdsclip {

UnitCache::UnitCache(Encode encode, std::int64_t unit_size, std::int64_t capacity_bytes)
    : encode_(std::move(encode)), unit_size_(unit_size), capacity_bytes_(capacity_bytes) {}

at::Tensor UnitCache::row(std::int64_t row) {
  const std::int64_t unit = row / unit_size_;
  const auto found = find_.find(unit);
  if (found != find_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, found->second);
  } else {
    by_use_.push_front({.unit = unit, .rows = encode_(unit * unit_size_, unit_size_)});
    find_[unit] = by_use_.begin();
    bytes_ += static_cast<std::int64_t>(by_use_.front().rows.nbytes());
    while (bytes_ > capacity_bytes_ && by_use_.size() > 1) {
      bytes_ -= static_cast<std::int64_t>(by_use_.back().rows.nbytes());
      find_.erase(by_use_.back().unit);
      by_use_.pop_back();
    }
  }
  return by_use_.front().rows.select(0, row % unit_size_);
}

}  // namespace sdsclip

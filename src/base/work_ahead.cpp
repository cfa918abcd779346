#include "sdsclip/base/work_ahead.h"

#include <algorithm>
#include <utility>

namespace sdsclip {

WorkAhead::WorkAhead(std::size_t count, std::size_t ahead, std::int64_t workers, Make make)
    : count_(count), ahead_(ahead), make_(std::move(make)), is_made_(count) {
  const std::size_t asked = workers > 0 ? static_cast<std::size_t>(workers)
                                        : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
  const std::size_t threads = std::min({asked, count, ahead});
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

WorkAhead::~WorkAhead() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

void WorkAhead::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto may_begin = [this] { return next_ < std::min(count_, released_ + ahead_); };
    if (!changed_.wait(lock, stop, [&] { return next_ == count_ || may_begin(); })) return;
    if (next_ == count_ || stop.stop_requested()) return;
    const std::size_t item = next_++;
    lock.unlock();
    std::exception_ptr failure;
    try {
      make_(item);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) failures_.emplace(item, failure);
    is_made_[item] = true;
    while (made_in_a_row_ < count_ && is_made_[made_in_a_row_]) ++made_in_a_row_;
    changed_.notify_all();
  }
}

void WorkAhead::wait_until(std::size_t end) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return made_in_a_row_ >= end; });
  if (!failures_.empty() && failures_.begin()->first < end) {
    std::rethrow_exception(failures_.begin()->second);
  }
}

void WorkAhead::release(std::size_t end) {
  {
    const std::lock_guard lock(mutex_);
    released_ = end;
  }
  changed_.notify_all();
}

}  // namespace sdsclip

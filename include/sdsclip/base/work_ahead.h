#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace sdsclip {

inline constexpr std::string_view kWorkersText =
    "Threads that decode images; 0: one per core. Lower it if several runs share a machine.";

/// Makes items 0, 1, ... `count - 1` on threads of its own before they are needed. The caller holds what is
/// made, in slots: an item is begun only if it is one of the `ahead` items from the first unreleased one on,
/// so `ahead` slots, or memory for them, are enough.
///
/// A mutex orders the threads: what `make` wrote is visible after `wait_until`, and a released slot belongs to
/// the threads again.
class WorkAhead {
 public:
  using Make = std::function<void(std::size_t item)>;

  /// `workers` threads call `make`; 0: one per core. What `make` uses must outlive this.
  WorkAhead(std::size_t count, std::size_t ahead, std::int64_t workers, Make make);
  /// Begins no more items and waits for those that were begun.
  ~WorkAhead();
  WorkAhead(const WorkAhead&) = delete;
  WorkAhead& operator=(const WorkAhead&) = delete;

  /// Waits until the items before `end` are made. Throws the error of the first of them that failed, whichever
  /// thread met an error first.
  void wait_until(std::size_t end);
  /// The slots of the items before `end` are free.
  void release(std::size_t end);

 private:
  void work(const std::stop_token& stop);

  const std::size_t count_;
  const std::size_t ahead_;
  const Make make_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t next_ = 0;           // the first item that was not begun
  std::size_t released_ = 0;       // the first item whose slot is in use
  std::vector<bool> is_made_;      // by item, failed ones included
  std::size_t made_in_a_row_ = 0;  // the first item that is not made
  std::map<std::size_t, std::exception_ptr> failures_;
  std::vector<std::jthread> threads_;  // last, so that they end first
};

}  // namespace sdsclip

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace sdsclip {

/// Runs tasks in order, one at a time, on a thread of its own. After a task that threw, none runs any more.
class TaskQueue {
 public:
  using Task = std::function<void()>;

  /// At most `most` tasks wait or run. What tasks use must outlive this.
  explicit TaskQueue(std::size_t most);
  /// Runs the tasks that were added. An error that was not reported is lost, so call `finish` first.
  ~TaskQueue();
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  /// Waits while the queue is full. Throws the error of an earlier task.
  void add(Task task);
  /// Waits for all tasks. Throws the error of the one that failed.
  void finish();

 private:
  void work();
  void check() const;

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;  // the first one runs
  bool ends_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;  // last, so that it ends first
};

}  // namespace sdsclip

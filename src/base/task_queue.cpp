#include "sdsclip/base/task_queue.h"

#include <utility>

namespace sdsclip {

TaskQueue::TaskQueue(std::size_t most) : most_(most), thread_([this] { work(); }) {}

TaskQueue::~TaskQueue() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
}

void TaskQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ends_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const Task& task = tasks_.front();  // a deque's elements stay where they are while others are added
    lock.unlock();
    std::exception_ptr failure;
    try {
      task();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    tasks_.pop_front();
    if (failure) {
      failure_ = failure;
      tasks_.clear();
    }
    changed_.notify_all();
  }
}

void TaskQueue::check() const {
  if (failure_) std::rethrow_exception(failure_);
}

void TaskQueue::add(Task task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || tasks_.size() < most_; });
  check();
  tasks_.push_back(std::move(task));
  changed_.notify_all();
}

void TaskQueue::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return tasks_.empty(); });
  check();
}

}  // namespace sdsclip

#include "sdsclip/base/task_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <vector>

namespace sdsclip {
namespace {

TEST(TaskQueue, RunsTasksInOrderAndHoldsFew) {
  std::vector<int> done;
  std::atomic<int> waiting = 0;
  std::atomic<int> most_waiting = 0;
  {
    TaskQueue queue(3);
    for (int i = 0; i < 200; ++i) {
      ++waiting;
      queue.add([&, i] {
        done.push_back(i);
        most_waiting = std::max<int>(most_waiting, waiting--);
      });
    }
    queue.finish();
    ASSERT_EQ(done.size(), 200U);
  }
  for (int i = 0; i < 200; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
  EXPECT_LE(most_waiting, 4);  // three in the queue and the one that waits for room
}

TEST(TaskQueue, RunsWhatWasAddedBeforeItEnds) {
  std::vector<int> done;
  {
    TaskQueue queue(8);
    for (int i = 0; i < 5; ++i) {
      queue.add([&, i] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        done.push_back(i);
      });
    }
  }
  EXPECT_EQ(done.size(), 5U);
}

TEST(TaskQueue, ReportsAnErrorAndRunsNothingAfterIt) {
  std::atomic<int> done = 0;
  TaskQueue queue(2);
  const auto add_all = [&] {
    for (int i = 0; i < 100; ++i) {
      queue.add([&, i] {
        if (i == 3) throw std::runtime_error("disk full");
        ++done;
      });
    }
    queue.finish();
  };
  EXPECT_THROW(add_all(), std::runtime_error);
  EXPECT_THROW(queue.finish(), std::runtime_error);
  EXPECT_THROW(queue.add([&] { ++done; }), std::runtime_error);
  EXPECT_EQ(done, 3);
}

}  // namespace
}  // namespace sdsclip

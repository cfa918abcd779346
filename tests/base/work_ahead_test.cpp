#include "sdsclip/base/work_ahead.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

namespace sdsclip {
namespace {

constexpr std::size_t kItems = 500;

TEST(WorkAhead, MakesEveryItemOnceInSlotsThatAreUsedAgain) {
  for (const std::int64_t workers : {1, 2, 8, 0}) {
    std::array<std::size_t, 7> slots{};
    std::atomic<std::size_t> calls = 0;
    WorkAhead ahead(kItems, slots.size(), workers, [&](std::size_t item) {
      slots[item % slots.size()] = item * item;
      ++calls;
    });
    for (std::size_t item = 0; item < kItems; ++item) {
      ahead.wait_until(item + 1);
      ASSERT_EQ(slots[item % slots.size()], item * item);
      ahead.release(item + 1);
    }
    EXPECT_EQ(calls, kItems);
  }
}

TEST(WorkAhead, BeginsNoItemWhoseSlotIsInUse) {
  std::atomic<std::size_t> released = 0;
  std::atomic<std::size_t> farthest = 0;
  {
    WorkAhead ahead(kItems, 5, 8, [&](std::size_t item) {
      const std::size_t distance = item - released;
      for (std::size_t old = farthest; old < distance && !farthest.compare_exchange_weak(old, distance);) {
      }
    });
    for (std::size_t item = 0; item < 100; ++item) {
      ahead.wait_until(item + 1);
      released = item + 1;
      ahead.release(item + 1);
    }
  }
  EXPECT_LT(farthest, 5U);
}

TEST(WorkAhead, ThrowsTheFirstItemsErrorWhicheverThreadMeetsOneFirst) {
  WorkAhead ahead(64, 64, 8, [](std::size_t item) {
    if (item == 20) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (item >= 20 && item % 3 != 1) throw std::runtime_error(std::to_string(item));
  });
  ahead.wait_until(20);
  for (int again = 0; again < 2; ++again) {
    try {
      ahead.wait_until(64);
      FAIL() << "no error";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "20");
    }
  }
}

TEST(WorkAhead, EndsWithoutTheItemsThatWereNotBegun) {
  std::atomic<std::size_t> calls = 0;
  {
    WorkAhead ahead(kItems, 3, 2, [&](std::size_t) { ++calls; });
    ahead.wait_until(1);
  }
  EXPECT_LE(calls, 3U);
  WorkAhead nothing(0, 3, 2, [](std::size_t) { FAIL(); });
  nothing.wait_until(0);
}

}  // namespace
}  // namespace sdsclip

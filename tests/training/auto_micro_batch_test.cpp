#include "auto_micro_batch.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace sdsclip {
namespace {

/// 100 bytes whatever the items, and 10 an item.
std::int64_t bytes_of(std::int64_t items) {
  return 100 + 10 * items;
}

TEST(LargestMicroBatch, IsThePowerOfTwoThatFits) {
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 100 + 10 * 64), 64);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 100 + 10 * 64 - 1), 32);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 1'000'000), 1024);
  EXPECT_EQ(largest_micro_batch(bytes_of, 48, 1'000'000), 32);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1, 0), 1);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 0), 1);
}

TEST(ExtraPeakBytes, SeesWhatWasFreedAgain) {
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  const auto fill = [] { torch::ones({kBytes / 4}).sum().item<float>(); };
  for (int time = 0; time < 2; ++time) {
    const std::int64_t bytes = extra_peak_bytes(at::kCPU, fill);
    EXPECT_GT(bytes, kBytes * 9 / 10);
    EXPECT_LT(bytes, kBytes * 3 / 2);
  }
  EXPECT_LT(extra_peak_bytes(at::kCPU, [] {}), kBytes / 4);
}

TEST(FreeMemoryBytes, IsMoreThanNothingAndLessThanAPetabyte) {
  EXPECT_GT(free_memory_bytes(at::kCPU), 0);
  EXPECT_LT(free_memory_bytes(at::kCPU), std::int64_t{1} << 50);
}

}  // namespace
}  // namespace sdsclip

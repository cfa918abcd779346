#include "auto_micro_batch.h"

#include <gtest/gtest.h>
#include <torch/script.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <vector>

#include "sdsclip/base/memory.h"

namespace sdsclip {
namespace {

/// 100 bytes, and 10 more per item.
std::int64_t bytes_of(std::int64_t items) {
  return 100 + 10 * items;
}

TEST(LargestMicroBatch, IsTheWholeBatchIfItFits) {
  EXPECT_EQ(largest_micro_batch(bytes_of, 48, 100 + 10 * 48), 48);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 1'000'000), 1024);
  EXPECT_EQ(largest_micro_batch(bytes_of, 7, 1'000'000), 7);
}

TEST(LargestMicroBatch, IsOtherwiseAnEvenPartOfTheBatch) {
  EXPECT_EQ(largest_micro_batch(bytes_of, 48, 100 + 10 * 48 - 1), 24);
  EXPECT_EQ(largest_micro_batch(bytes_of, 48, 100 + 10 * 23), 16);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 100 + 10 * 64), 64);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 100 + 10 * 64 - 1), 61);  // 17 parts, none above 63
  EXPECT_EQ(largest_micro_batch(bytes_of, 7, 100 + 10 * 6), 4);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1, 0), 1);
  EXPECT_EQ(largest_micro_batch(bytes_of, 1024, 0), 1);
}

TEST(ExtraPeakBytes, IncludesMemoryThatWasFreedAgain) {
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  const auto fill = [] { torch::ones({kBytes / 4}).sum().item<float>(); };
  for (int time = 0; time < 2; ++time) {
    const std::int64_t bytes = extra_peak_bytes(at::kCPU, fill);
    EXPECT_GT(bytes, kBytes * 9 / 10);
    EXPECT_LT(bytes, kBytes * 3 / 2);
  }
  EXPECT_LT(extra_peak_bytes(at::kCPU, [] {}), kBytes / 4);
}

/// Resident memory of this process.
std::int64_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  std::int64_t pages = 0;
  status >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

// Else each run of a sweep would see less than the one before.
TEST(FreeMemoryBytes, CountsMemoryThatTheProcessHasFreedButStillHolds) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer's allocator keeps freed memory in a quarantine of its own";
#endif
  constexpr std::size_t kBlock = 4096;
  constexpr std::size_t kBlocks = 40'000;
  keep_freed_activations();
  {
    std::vector<std::unique_ptr<char[]>> blocks;
    for (std::size_t i = 0; i < kBlocks; ++i) blocks.push_back(std::make_unique<char[]>(kBlock));
  }
  const std::int64_t held = resident_bytes();
  free_memory_bytes(at::kCPU);
  EXPECT_LT(resident_bytes(), held - static_cast<std::int64_t>(kBlock * kBlocks / 2));
}

TEST(FreeMemoryBytes, IsMoreThanNothingAndLessThanAPetabyte) {
  EXPECT_GT(free_memory_bytes(at::kCPU), 0);
  EXPECT_LT(free_memory_bytes(at::kCPU), std::int64_t{1} << 50);
}

}  // namespace
}  // namespace sdsclip

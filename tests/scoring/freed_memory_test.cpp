#include "freed_memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>

namespace sdsclip {
namespace {

constexpr std::size_t kBlock = 64 << 20;

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

/// Page faults of ten large blocks, one after another.
long faults_of_ten_blocks() {
  const long before = page_faults();
  for (int i = 0; i < 10; ++i) {
    const std::unique_ptr<char[]> block(new char[kBlock]);
    std::memset(block.get(), i, kBlock);
    EXPECT_EQ(block[kBlock - 1], i);
  }
  return page_faults() - before;
}

TEST(KeepFreedMemory, SparesLargeBlocksFromBeingPagedInAnew) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer has an allocator of its own";
#endif
  long kept = 0;
  {
    const KeepFreedMemory keep;
    kept = faults_of_ten_blocks();
  }
  const long usual = faults_of_ten_blocks();
  EXPECT_GT(usual, 5 * kept);
}

}  // namespace
}  // namespace sdsclip

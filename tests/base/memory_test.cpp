#include "sdsclip/base/memory.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#define SKIP_WITH_ADDRESS_SANITIZER() GTEST_SKIP() << "AddressSanitizer has an allocator of its own"
#else
#define SKIP_WITH_ADDRESS_SANITIZER()
#endif

namespace sdsclip {
namespace {

constexpr std::size_t kLargeBlock = 64 << 20;
constexpr std::size_t kActivation = 8 << 20;

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

/// Page faults of ten blocks, one after another.
long faults_of_ten_blocks(std::size_t bytes) {
  const long before = page_faults();
  for (int i = 0; i < 10; ++i) {
    const std::unique_ptr<char[]> block(new char[bytes]);
    std::memset(block.get(), i, bytes);
    EXPECT_EQ(block[bytes - 1], i);
  }
  return page_faults() - before;
}

TEST(KeepFreedMemory, KeepsLargeBlocksFromBeingPagedInAgain) {
  SKIP_WITH_ADDRESS_SANITIZER();
  ::malloc_trim(0);
  const long usual = faults_of_ten_blocks(kLargeBlock);
  const KeepFreedMemory keep;
  const long kept = faults_of_ten_blocks(kLargeBlock);
  EXPECT_GT(usual, 5 * kept);
}

TEST(KeepFreedMemory, StillKeepsActivationsWhenItEnds) {
  SKIP_WITH_ADDRESS_SANITIZER();
  ::malloc_trim(0);
  { const KeepFreedMemory keep; }
  const long first = faults_of_ten_blocks(kActivation);
  const long again = faults_of_ten_blocks(kActivation);
  const long pages = static_cast<long>(10 * kActivation / 4096);
  EXPECT_LT(first, pages / 5);
  EXPECT_LT(again, pages / 50);
}

}  // namespace
}  // namespace sdsclip

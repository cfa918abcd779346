#include "sdsclip/base/freed_memory.h"

#include <malloc.h>

#include <limits>

namespace sdsclip {
namespace {

constexpr int kDefaultMmapMax = 65536;       // glibc's own (mallopt(3))
constexpr int kLargestHeapBlock = 32 << 20;  // glibc's own limit for the threshold
constexpr int kLargestFreeEnd = 1 << 30;

}  // namespace

void keep_freed_activations() {
  // Setting the second threshold stops glibc from adapting the first one, so both are set.
  ::mallopt(M_MMAP_THRESHOLD, kLargestHeapBlock);
  ::mallopt(M_TRIM_THRESHOLD, kLargestFreeEnd);
}

KeepFreedMemory::KeepFreedMemory() {
  ::mallopt(M_MMAP_MAX, 0);  // put everything on the heap, which shrinks only beyond the threshold
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

KeepFreedMemory::~KeepFreedMemory() {
  ::mallopt(M_MMAP_MAX, kDefaultMmapMax);
  keep_freed_activations();
  ::malloc_trim(kLargestFreeEnd);
}

}  // namespace sdsclip

#include "freed_memory.h"

#include <malloc.h>

#include <limits>

namespace sdsclip {
namespace {

// glibc's own values (mallopt(3)).
constexpr int kDefaultMmapMax = 65536;
constexpr int kDefaultTrimThreshold = 128 * 1024;

}  // namespace

KeepFreedMemory::KeepFreedMemory() {
  ::mallopt(M_MMAP_MAX, 0);  // everything on the heap, whose end is only cut off beyond the threshold
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

KeepFreedMemory::~KeepFreedMemory() {
  ::mallopt(M_MMAP_MAX, kDefaultMmapMax);
  ::mallopt(M_TRIM_THRESHOLD, kDefaultTrimThreshold);
  ::malloc_trim(0);
}

}  // namespace sdsclip

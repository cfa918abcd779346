#include "sdsclip/base/memory.h"

#include <malloc.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

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

std::int64_t peak_memory_bytes() {
  // Not getrusage, whose peak starts with that of the parent process.
  constexpr std::string_view kPeak = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::int64_t kibibytes = 0;
    if (line.starts_with(kPeak) && std::istringstream(line.substr(kPeak.size())) >> kibibytes)
      return kibibytes * 1024;
  }
  return 0;
}

}  // namespace sdsclip

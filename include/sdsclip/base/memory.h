#pragma once

#include <cstdint>

namespace sdsclip {

/// From now on, the process keeps up to 1 GiB of freed activations (blocks of up to 32 MiB) for the next
/// step. By default glibc returns freed memory at the heap's end to the system, and the next step must fetch
/// it page by page. The setting holds for the whole process.
void keep_freed_activations();

/// While alive, the process keeps all memory that it frees. With glibc's default, clearing the pages of large
/// tensors again takes 4% of the time of Stable Diffusion's UNet on a CPU, and more of a small UNet's. Only
/// one may be alive at a time. The destructor goes back to `keep_freed_activations` and returns the rest.
class KeepFreedMemory {
 public:
  KeepFreedMemory();
  ~KeepFreedMemory();
  KeepFreedMemory(const KeepFreedMemory&) = delete;
  KeepFreedMemory& operator=(const KeepFreedMemory&) = delete;
};

/// The process's peak resident memory in bytes; 0 if the system does not report it.
std::int64_t peak_memory_bytes();

}  // namespace sdsclip

#pragma once

namespace sdsclip {

/// While alive, memory that is freed stays with the process. glibc gives a large block back to the system as
/// soon as a tensor dies, and the next one's pages are cleared anew: on a CPU 4% of the time of Stable
/// Diffusion's UNet, and more of a small one's. It is a setting of the whole process: one at a time.
class KeepFreedMemory {
 public:
  KeepFreedMemory();
  ~KeepFreedMemory();
  KeepFreedMemory(const KeepFreedMemory&) = delete;
  KeepFreedMemory& operator=(const KeepFreedMemory&) = delete;
};

}  // namespace sdsclip

#pragma once

namespace sdsclip {

/// Keeps the memory of freed activations (up to 1 GiB, in blocks of up to 32 MiB) for the next step, from now
/// on. By default glibc gives it back to the system as soon as enough is free at the heap's end, and the next
/// step takes it again page by page. A setting of the whole process.
void keep_freed_activations();

/// While alive, all memory that is freed stays with the process: with glibc's default, clearing the pages of
/// large tensors anew is 4% of the time of Stable Diffusion's UNet on a CPU, and more of a small one's. One
/// at a time; afterwards `keep_freed_activations` holds, and what is free beyond that is given back.
class KeepFreedMemory {
 public:
  KeepFreedMemory();
  ~KeepFreedMemory();
  KeepFreedMemory(const KeepFreedMemory&) = delete;
  KeepFreedMemory& operator=(const KeepFreedMemory&) = delete;
};

}  // namespace sdsclip

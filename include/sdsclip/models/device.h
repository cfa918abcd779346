#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "sdsclip/models/compute_options.h"

namespace sdsclip {

struct Placement {
  c10::Device device = c10::Device(c10::kCPU);
  Precision precision = Precision::kFp32;
};

/// Sets up LibTorch: threads, deterministic algorithms and, only if the run uses a GPU, the CUDA libraries.
/// Throws `Error(kUsage)` if the device is unknown or absent.
Placement prepare_compute(const ComputeOptions& options);

/// Memory of tensors on a GPU in bytes, as LibTorch's allocator counts it. The allocator reserves more.
struct GpuMemory {
  std::int64_t allocated = 0;
  std::int64_t peak = 0;
};

/// A GPU's memory; zeros for the CPU.
GpuMemory gpu_memory(c10::Device device);

/// While alive, LibTorch runs the networks in the placement's precision (no effect for fp32).
class AutocastScope {
 public:
  explicit AutocastScope(const Placement& placement);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  c10::DeviceType type_;
  bool active_;
  bool was_enabled_ = false;
};

}  // namespace sdsclip

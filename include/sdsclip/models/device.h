#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace sdsclip {

/// The networks' arithmetic. What DESIGN ("Mathematics") lists stays float32 whatever this says.
enum class Precision { kFp32, kBf16, kFp16 };

/// Where and how a run computes.
struct ComputeOptions {
  std::string device = "auto";  ///< auto, cpu, cuda or cuda:N; auto takes a GPU where there is one
  Precision precision = Precision::kFp32;
  std::int64_t threads = 0;  ///< of LibTorch on the CPU; 0: one a core
};

struct Placement {
  c10::Device device = c10::Device(c10::kCPU);
  Precision precision = Precision::kFp32;
};

/// Makes LibTorch ready: threads, deterministic algorithms, and the CUDA libraries loaded if, and only if,
/// the run uses a GPU. Throws `Error(kUsage)` on an unknown or absent device.
Placement prepare_compute(const ComputeOptions& options);

/// Bytes of the tensors on a GPU, as LibTorch's allocator counts them; it holds on to more.
struct GpuMemory {
  std::int64_t allocated = 0;
  std::int64_t peak = 0;
};

/// Of a GPU; all zero for the CPU.
GpuMemory gpu_memory(c10::Device device);

/// While alive, LibTorch casts the networks' operations to the placement's precision (nothing for fp32).
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

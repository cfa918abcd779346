#include "sdsclip/models/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sdsclip/base/error.h"
#include "sdsclip/base/memory.h"

namespace sdsclip {
namespace {

/// Whether the machine has a GPU driver. The check avoids loading 400 MB of libraries to find out.
bool has_gpu_driver() {
  std::error_code ignored;
  return std::filesystem::exists("/dev/nvidiactl", ignored);
}

void load_cuda_libraries() {
  // cuBLAS needs this for results that do not depend on its order of work.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    throw usage_error("--device: this LibTorch cannot use CUDA ({}); run with --device cpu", ::dlerror());
  }
}

c10::Device pick_device(const std::string& text) {
  if (text == "cpu") return c10::Device(c10::kCPU);
  const bool automatic = text == "auto";
  std::int64_t index = 0;
  if (text.starts_with("cuda:")) {
    const std::string digits = text.substr(5);
    if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos) {
      throw usage_error("--device: got '{}', expected auto, cpu, cuda or cuda:N", text);
    }
    index = std::stoll(digits);
  } else if (!automatic && text != "cuda") {
    throw usage_error("--device: got '{}', expected auto, cpu, cuda or cuda:N", text);
  }
  if (!has_gpu_driver()) {
    if (automatic) return c10::Device(c10::kCPU);
    throw usage_error("--device: got '{}', but this machine has no GPU driver; run with --device cpu", text);
  }
  load_cuda_libraries();
  const std::int64_t count =
      at::hasCUDA() ? static_cast<std::int64_t>(at::detail::getCUDAHooks().deviceCount()) : 0;
  if (automatic && count == 0) return c10::Device(c10::kCPU);
  if (index >= count) throw usage_error("--device: got '{}', but LibTorch sees {} GPU(s)", text, count);
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace

Placement prepare_compute(const ComputeOptions& options) {
  if (options.threads < 0 || options.threads > kMostThreads) {
    throw usage_error("--threads: got {}, expected 0 to {}", options.threads, kMostThreads);
  }
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  at::set_num_threads(static_cast<int>(options.threads > 0 ? options.threads : cores));
  Placement placement;
  placement.device = pick_device(options.device);
  placement.precision = options.precision;
  keep_freed_activations();
  if (placement.device.is_cuda()) {
    at::globalContext().setDeterministicAlgorithms(options.deterministic, false);
    at::globalContext().setBenchmarkCuDNN(!options.deterministic);
    // Deterministic mode would otherwise fill every new tensor with NaN first.
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    // By default cuDNN rounds the factors of float32 convolutions to ten bits.
    at::globalContext().setAllowTF32CuDNN(false);
  }
  return placement;
}

GpuMemory gpu_memory(c10::Device device) {
  if (device.is_cpu()) return {};
  const at::CachingDeviceAllocator::DeviceStats stats =
      at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  const c10::CachingAllocator::Stat& bytes = stats.allocated_bytes.at(0);  // sum of all pools
  return {.allocated = bytes.current, .peak = bytes.peak};
}

AutocastScope::AutocastScope(const Placement& placement)
    : type_(placement.device.type()), active_(placement.precision != Precision::kFp32) {
  if (!active_) return;
  was_enabled_ = at::autocast::is_autocast_enabled(type_);
  at::autocast::set_autocast_enabled(type_, true);
  at::autocast::set_autocast_dtype(type_,
                                   placement.precision == Precision::kBf16 ? at::kBFloat16 : at::kHalf);
  // Cast weights are cached within a scope only; they would be stale after an optimizer step.
  at::autocast::set_autocast_cache_enabled(true);
  at::autocast::increment_nesting();
}

AutocastScope::~AutocastScope() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(type_, was_enabled_);
}

}  // namespace sdsclip

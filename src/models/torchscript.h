#pragma once

#include <torch/script.h>

#include <string>
#include <vector>

#include "sdsclip/models/bundle.h"
#include "sdsclip/models/device.h"

namespace sdsclip {

/// Loads an archive of a bundle, after a check of its SHA-256, in evaluation mode with frozen parameters.
/// Settings of the machine that made the trace (cuDNN, the device of shape constants) are replaced by this
/// run's. Throws `Error(kInput)` if LibTorch refuses the archive.
torch::jit::Module load_archive(const Bundle& bundle, const std::string& file, const Placement& placement);

/// Calls a method. TorchScript's interpreter reports any failure as a `std::runtime_error` of many lines.
/// This throws `c10::OutOfMemoryError` if memory ran out, else `Error(kRuntime)` of one line.
c10::IValue call_method(torch::jit::Module& module, const char* method, std::vector<c10::IValue> inputs);

/// Converts floating-point parameters and buffers. Unlike `Module::to(dtype)` it keeps integer buffers
/// (position ids).
void convert_floating(torch::jit::Module& module, at::ScalarType dtype);

at::ScalarType dtype_of(Precision precision);

}  // namespace sdsclip

#pragma once

#include <torch/script.h>

#include <string>
#include <vector>

#include "sdsclip/models/bundle.h"
#include "sdsclip/models/device.h"

namespace sdsclip {

/// Loads one archive of a bundle in evaluation mode with every parameter frozen, after checking its SHA-256.
/// What its trace holds of the machine and the moment that it was made on (settings of cuDNN, the device of
/// the numbers that shapes are computed with) is replaced by what holds here. Throws `Error(kInput)` with one
/// line where LibTorch refuses it.
torch::jit::Module load_archive(const Bundle& bundle, const std::string& file, const Placement& placement);

/// Calls a method. TorchScript's interpreter turns whatever fails in one into a `std::runtime_error` of many
/// lines: memory that ran out comes out as `c10::OutOfMemoryError` again, anything else as `Error(kRuntime)`.
c10::IValue call_method(torch::jit::Module& module, const char* method, std::vector<c10::IValue> inputs);

/// Converts floating parameters and buffers; integer buffers (position ids) stay what they are, which
/// `Module::to(dtype)` would not respect.
void convert_floating(torch::jit::Module& module, at::ScalarType dtype);

at::ScalarType dtype_of(Precision precision);

}  // namespace sdsclip

#pragma once

#include <torch/script.h>

#include <string>

#include "sdsclip/models/bundle.h"
#include "sdsclip/models/device.h"

namespace sdsclip {

/// Loads one archive of a bundle in evaluation mode with every parameter frozen, after checking its SHA-256.
/// Throws `Error(kInput)` with one line where LibTorch refuses it.
torch::jit::Module load_archive(const Bundle& bundle, const std::string& file, const Placement& placement);

/// Converts floating parameters and buffers; integer buffers (position ids) stay what they are, which
/// `Module::to(dtype)` would not respect.
void convert_floating(torch::jit::Module& module, at::ScalarType dtype);

at::ScalarType dtype_of(Precision precision);

}  // namespace sdsclip

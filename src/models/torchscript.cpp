#include "torchscript.h"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include "sdsclip/base/error.h"

namespace sdsclip {

torch::jit::Module load_archive(const Bundle& bundle, const std::string& file, const Placement& placement) {
  verify_bundle(bundle, {file});
  // The profiling executor specialises a graph after its first calls, which changes low bits between a first
  // and a later call. It has to be off before the first forward of the process.
  torch::jit::getProfilingMode() = false;
  const std::string path = (bundle.folder / file).string();
  try {
    torch::jit::Module module = torch::jit::load(path, placement.device);
    module.eval();
    for (at::Tensor parameter : module.parameters()) parameter.set_requires_grad(false);
    return module;
  } catch (const c10::Error& failure) {
    throw input_error("{}: not a TorchScript archive that this LibTorch loads: {}", path,
                      failure.what_without_backtrace());
  }
}

void convert_floating(torch::jit::Module& module, at::ScalarType dtype) {
  const auto convert = [dtype](at::Tensor tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype));
  };
  for (const at::Tensor& parameter : module.parameters()) convert(parameter);
  for (const at::Tensor& buffer : module.buffers()) convert(buffer);
}

at::ScalarType dtype_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return at::kFloat;
    case Precision::kBf16:
      return at::kBFloat16;
    case Precision::kFp16:
      break;
  }
  return at::kHalf;
}

}  // namespace sdsclip

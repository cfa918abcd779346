#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "compiled_package.h"

namespace torch::inductor {
class AOTIModelPackageLoader;
}
namespace torch::jit {
struct Module;
}

namespace sdsclip {

/// A compiled graph of the UNet. It computes with the tensors of `unet`, which must outlive it.
class CompiledGraph {
 public:
  /// Throws `Error(kInput)` if the package names a tensor that `unet` does not have, and `Error(kRuntime)` if
  /// LibTorch cannot load the package.
  CompiledGraph(const CompiledPackage& package, const torch::jit::Module& unet, const Placement& placement);
  ~CompiledGraph();

  [[nodiscard]] std::int64_t batch() const { return batch_; }

  /// Runs the graph on at most `batch()` rows; zeros are added to the inputs, and cut from the outputs.
  std::vector<at::Tensor> run(std::vector<at::Tensor> inputs);

 private:
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_;
  std::int64_t batch_ = 0;
};

/// `sum_i weights_i || prediction_i - target_i ||^2` by a graph of kind `step`, differentiable in `noised` and
/// `target`. `upstream` is the gradient that the result's `backward` will get: the graph computes with it, so that
/// a small gradient does not vanish in float16. Undefined: 1.
at::Tensor weighted_error(CompiledGraph& graph, const at::Tensor& noised, const at::Tensor& timesteps,
                          const at::Tensor& context, const at::Tensor& target, const at::Tensor& weights,
                          const at::Tensor& upstream);

}  // namespace sdsclip

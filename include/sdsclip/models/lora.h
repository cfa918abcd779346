#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// The section `train.lora`, read where `train.tune` is `lora`.
struct LoraOptions {
  std::int64_t rank = 8;                        ///< r, of every adapted weight's update
  double alpha = 8;                             ///< the update is alpha / r times B A
  std::vector<std::string> targets = {"attn"};  ///< parts of the names of the weights that are adapted
};
void visit_options(OptionVisitor& visitor, LoraOptions& options);

/// One adapted weight of CLIP: W = W0 + (alpha / r) B A (Hu et al., "LoRA: Low-Rank Adaptation of Large
/// Language Models", 2022, section 4.1).
///
/// The TorchScript graph knows W alone. So W is overwritten by `merge_lora` whenever A or B changed, and
/// `project_lora_gradients` turns the gradient that the graph left for W into those of A and B. That is
/// exact, needs no change of the archive, and holds W's whole gradient for as long as a step lasts.
struct LoraAdapter {
  std::string name;  ///< of the weight, the source library's
  at::Tensor
      weight;  ///< W, the model's own tensor: f32[out, in]; a convolution's [out, in, kh, kw] counts as
               ///< [out, in kh kw], attention's stacked `in_proj_weight` as the one matrix that it is (PEFT)
  at::Tensor frozen;  ///< W0, what the archive holds, of W's shape
  at::Tensor a;       ///< A, f32[r, in], trained
  at::Tensor b;       ///< B, f32[out, r], trained
  double scale = 1;   ///< alpha / r
};

/// Adapts every weight whose name ends in "weight", holds one of the targets, and has two dimensions or more.
/// A starts uniform within 1 / sqrt(in), as in Hu et al.'s code, drawn from the seed and the weight's name
/// alone; B starts at zero, so W is W0 to the bit. The adapted weights require gradients from here on.
///
/// Throws `Error(kUsage)` on a target that matches no weight and on a rank above a weight's own.
std::vector<LoraAdapter> add_lora(const ClipModel& model, const LoraOptions& options, std::uint64_t seed);

/// Writes W0 + scale B A into each weight.
void merge_lora(std::span<const LoraAdapter> adapters);

/// Adds scale B^T dL/dW to A's gradient and scale dL/dW A^T to B's, and clears dL/dW. A weight without a
/// gradient leaves them as they are.
void project_lora_gradients(std::span<const LoraAdapter> adapters);

/// A and B of each adapter, as `lora.NAME.a` and `lora.NAME.b`.
std::vector<NamedTensor> lora_parameters(std::span<const LoraAdapter> adapters);

/// The adapted weights themselves, under the source library's names.
std::vector<NamedTensor> adapted_weights(std::span<const LoraAdapter> adapters);

}  // namespace sdsclip

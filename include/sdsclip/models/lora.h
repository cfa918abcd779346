#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// The configuration section `train.lora`, used if `train.tune` is `lora`.
struct LoraOptions {
  std::int64_t rank = 8;
  double alpha = 8;
  std::vector<std::string> targets = {"attn"};
};
void visit_options(OptionVisitor& visitor, LoraOptions& options);

/// One adapted weight of CLIP: W = W0 + (alpha / r) B A (Hu et al., "LoRA: Low-Rank Adaptation of Large
/// Language Models", 2022, section 4.1).
///
/// The TorchScript graph knows only W. `merge_lora` therefore overwrites W whenever A or B changed, and
/// `project_lora_gradients` turns W's gradient into those of A and B. This is exact and needs no change of
/// the archive. It holds W's whole gradient during a step.
struct LoraAdapter {
  std::string name;   ///< the weight's name in the source library
  at::Tensor weight;  ///< W, the model's own tensor, f32[out, in]; a convolution counts as [out, in kh kw],
                      ///< and attention's stacked `in_proj_weight` as one matrix (as in PEFT)
  at::Tensor frozen;  ///< W0, the archive's weight, same shape as W
  at::Tensor a;       ///< A, f32[r, in], trained
  at::Tensor b;       ///< B, f32[out, r], trained
  double scale = 1;   ///< alpha / r
};

/// Adapts every weight whose name ends in "weight" and contains one of the targets, and which has two or more
/// dimensions. A starts uniform within 1 / sqrt(in), as in Hu et al.'s code, and depends only on the seed and
/// the weight's name. B starts at zero, so W equals W0 bit for bit. The adapted weights require gradients
/// afterwards.
///
/// Throws `Error(kUsage)` if a target matches no weight, or if the rank exceeds a weight's own.
std::vector<LoraAdapter> add_lora(const ClipModel& model, const LoraOptions& options, std::uint64_t seed);

/// Writes W0 + scale B A into each weight.
void merge_lora(std::span<const LoraAdapter> adapters);

/// Adds scale B^T dL/dW to A's gradient and scale dL/dW A^T to B's, and clears dL/dW. Does nothing for a
/// weight without a gradient.
void project_lora_gradients(std::span<const LoraAdapter> adapters);

/// A and B of each adapter, as `lora.NAME.a` and `lora.NAME.b`.
std::vector<NamedTensor> lora_parameters(std::span<const LoraAdapter> adapters);

/// The adapted weights W under the source library's names.
std::vector<NamedTensor> adapted_weights(std::span<const LoraAdapter> adapters);

}  // namespace sdsclip

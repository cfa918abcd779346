#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// Which of CLIP's parameters train (`train.tune`). `layernorm` is the paper's choice (section 4.1, after
/// Basu et al.): weights and biases of every LayerNorm; an image tower without one (ResNet-50's) has the
/// scale and shift of its BatchNorm layers instead, whose statistics stay frozen. `layernorm+bias` adds every
/// other bias. `lora`: none of them, but low-rank updates of some weights (`models/lora.h`). `all`:
/// everything but `logit_scale` and SigLIP's `logit_bias`, which only `train.tune_temperature` names.
enum class Tune { kLayerNorm, kLayerNormBias, kLora, kAll };

/// The archive's parameters that train, in its order, `requires_grad` set on them and on no other.
/// `tune_bias`: `logit_bias` too, which only the sigmoid loss has a gradient for.
std::vector<NamedTensor> select_trainable(const ClipModel& model, Tune tune, bool tune_temperature,
                                          bool tune_bias = false);

/// Whether any of them belongs to the image tower, the one that L_SDS reaches.
bool any_in_image_tower(const std::vector<NamedTensor>& tensors);

/// How many numbers they hold.
std::int64_t element_count(const std::vector<NamedTensor>& tensors);

}  // namespace sdsclip

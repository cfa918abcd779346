#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/models/clip_model.h"

namespace sdsclip {

/// Which of CLIP's parameters are trained (`train.tune`):
/// - `layernorm`, the paper's choice (section 4.1, after Basu et al.): weights and biases of every LayerNorm.
///   An image tower without LayerNorm (ResNet-50's) has the scale and shift of its BatchNorm layers instead;
///   their statistics stay frozen.
/// - `layernorm+bias`: every other bias too.
/// - `lora`: low-rank updates of some weights (`models/lora.h`), and none of the above.
/// - `all`: everything but `logit_scale` and SigLIP's `logit_bias`; `train.tune_temperature` adds these.
enum class Tune { kLayerNorm, kLayerNormBias, kLora, kAll };

/// The trained parameters in the archive's order. Sets `requires_grad` on them and on no others. `tune_bias`
/// adds `logit_bias`, for which only the sigmoid loss has a gradient.
std::vector<NamedTensor> select_trainable(const ClipModel& model, Tune tune, bool tune_temperature,
                                          bool tune_bias = false);

/// Whose parameter a tensor is: CLIP's own, or that of a loss's h_w, which is trained and saved beside
/// CLIP's.
enum class ParameterOwner { kClip, kMap };

/// The owner of the parameter that has this name in checkpoints and in `tuned.safetensors`.
ParameterOwner owner_of(std::string_view name);

/// The name of a parameter of a loss's h_w, such as `sds.h_w.weight`.
std::string map_parameter_name(std::string_view loss, std::string_view parameter);

/// Whether any tensor belongs to the image tower, the only one that L_SDS reaches.
bool any_in_image_tower(const std::vector<NamedTensor>& tensors);

/// The number of elements in all tensors.
std::int64_t element_count(const std::vector<NamedTensor>& tensors);

}  // namespace sdsclip

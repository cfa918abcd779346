#pragma once

#include <ATen/core/Tensor.h>

#include "sdsclip/training/step.h"

namespace sdsclip {

/// L_SDS over a batch.
struct SdsTerm {
  double loss = 0;      ///< unweighted
  double shuffled = 0;  ///< with each image's caption exchanged, where `options.diagnose`
  double z_mean = 0;    ///< of h_w's output over batch and latent
  double z_std = 0;     ///< likewise
};

/// (c): L_SDS, a UNet micro-batch at a time. The weighted and scaled gradients are added to those of
/// `image_leaf` f32[B, D] and of the map.
SdsTerm add_sds(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                const at::Tensor& image_leaf);

/// (c): the feature loss of eq. 6 likewise. Returns it unweighted.
double add_feature(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                   const at::Tensor& image_leaf);

}  // namespace sdsclip

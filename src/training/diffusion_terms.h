#pragma once

#include <ATen/core/Tensor.h>

#include "sdsclip/training/step.h"

namespace sdsclip {

/// L_SDS over a batch.
struct SdsTerm {
  double loss = 0;      ///< unweighted
  double shuffled = 0;  ///< with shuffled captions, if `options.diagnose`
  double z_mean = 0;    ///< mean of h_w's output over batch and latent
  double z_std = 0;     ///< its standard deviation
};

/// (c): computes L_SDS, one UNet micro-batch at a time. Adds the weighted and scaled gradients to those of
/// `image_leaf` f32[B, D] and of the map.
SdsTerm add_sds(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                const at::Tensor& image_leaf);

/// (c): the same for the feature loss of eq. 6. Returns the unweighted loss.
double add_feature(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                   const at::Tensor& image_leaf);

}  // namespace sdsclip

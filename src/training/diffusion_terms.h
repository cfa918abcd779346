#pragma once

#include <ATen/core/Tensor.h>

#include "sdsclip/training/step.h"

namespace sdsclip {

/// (c): computes L_SDS, one UNet micro-batch at a time. Adds the weighted and scaled gradients to those of
/// `image_leaf` f32[B, D] and of the map, and the unweighted loss and what else is measured to `numbers`.
void add_sds(const StepModels& models, const StepBatch& batch, const StepOptions& options,
             const at::Tensor& image_leaf, StepNumbers& numbers);

/// (c): the same for the feature loss of eq. 6.
void add_feature(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                 const at::Tensor& image_leaf, StepNumbers& numbers);

/// The gradient from which a term's backward pass starts: its weight, times the loss scale.
at::Tensor upstream(double weight, const at::Tensor& loss, const StepOptions& options);

}  // namespace sdsclip

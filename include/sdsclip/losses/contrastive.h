#pragma once

#include <ATen/core/Tensor.h>

#include "sdsclip/base/options.h"

namespace sdsclip {

/// The form of `L_CLIP`.
enum class ContrastiveKind {
  kSoftmax,  ///< CLIP's: each image against all texts, and each text against all images
  kSigmoid   ///< SigLIP's: each pair on its own; needs a bundle with `logit_bias`
};

/// The configuration section `contrastive`.
struct ContrastiveOptions {
  double weight = 1.0;
  ContrastiveKind kind = ContrastiveKind::kSoftmax;
  bool hard_negatives = false;
};
void visit_options(OptionVisitor& visitor, ContrastiveOptions& options);

/// `L_CLIP`, the symmetric InfoNCE loss (paper, appendix C.1, eqs. 7-9; open_clip's `ClipLoss`): `(CE over
/// rows + CE over columns) / 2` of `exp(logit_scale) * cos`, with the matching pairs on the diagonal.
///
/// `image_embeds` f32[B, D] and `text_embeds` f32[B + K, D] need not be of unit norm; both are normalised
/// here. `logit_scale` is the stored logarithm, f32[] or f32[1]. The last K texts are hard negatives: extra
/// columns for the images, never rows (NegCLIP, Yuksekgonul et al. 2023). Returns f32[], differentiable in
/// all three.
at::Tensor contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                            const at::Tensor& logit_scale);

/// SigLIP's loss (Zhai et al. 2023; open_clip's `SigLipLoss`): the sum over all pairs of `-log sigmoid(y
/// (exp(logit_scale) * cos + logit_bias))`, divided by B. y is 1 for matching pairs and -1 for all others,
/// which include every image with each of the K hard negatives. `logit_bias` is f32[] or f32[1].
at::Tensor sigmoid_contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                                    const at::Tensor& logit_scale, const at::Tensor& logit_bias);

}  // namespace sdsclip

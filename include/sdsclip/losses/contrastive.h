#pragma once

#include <ATen/core/Tensor.h>

#include "sdsclip/base/options.h"

namespace sdsclip {

/// Which loss `L_CLIP` is.
enum class ContrastiveKind {
  kSoftmax,  ///< CLIP's: each image among all texts, and each text among all images
  kSigmoid   ///< SigLIP's: each pair by itself, which needs a bundle with `logit_bias`
};

/// The section `contrastive` of a configuration.
struct ContrastiveOptions {
  double weight = 1.0;                               ///< of L_CLIP in L_total; 0: without it
  ContrastiveKind kind = ContrastiveKind::kSoftmax;  ///< which loss it is
  bool hard_negatives = false;  ///< the data set's negative captions as further text columns (NegCLIP)
};
void visit_options(OptionVisitor& visitor, ContrastiveOptions& options);

/// `L_CLIP`, the symmetric InfoNCE loss (paper, appendix C.1, eqs. 7-9; open_clip's `ClipLoss`):
/// `(CE over rows + CE over columns) / 2` of `exp(logit_scale) * cos`, the matching pair on the diagonal.
///
/// `image_embeds` f32[B, D] and `text_embeds` f32[B + K, D] need not be of unit norm; both are normalised
/// here. `logit_scale` is the stored logarithm, f32[] or f32[1]. The K further texts are hard negatives:
/// columns for the images to tell apart, never rows (NegCLIP, Yuksekgonul et al. 2023). Returns f32[],
/// differentiable in all three.
at::Tensor contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                            const at::Tensor& logit_scale);

/// SigLIP's loss (Zhai et al. 2023; open_clip's `SigLipLoss`): the sum over all pairs of
/// `-log sigmoid(y (exp(logit_scale) * cos + logit_bias))`, divided by B, with y = 1 for the matching pairs
/// and -1 for all others, the K hard negatives of every image among them. `logit_bias` is f32[] or f32[1].
at::Tensor sigmoid_contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                                    const at::Tensor& logit_scale, const at::Tensor& logit_bias);

}  // namespace sdsclip

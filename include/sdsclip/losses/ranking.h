#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "sdsclip/base/options.h"

namespace sdsclip {

/// The configuration section `rank`: score-ranking distillation, which goes beyond the paper.
struct RankOptions {
  double weight = 0;
  std::string targets;
  double temperature = 0.01;
};
void visit_options(OptionVisitor& visitor, RankOptions& options);

/// Throws `Error(kUsage)` that names the key if a value is out of range or contradicts another one.
void check_rank_options(const RankOptions& options);

/// Candidate captions for the R images of a batch that have targets, at most K per image; shorter rows are
/// padded.
struct RankBatch {
  at::Tensor images;     ///< i64[R] rows of the image embeddings
  at::Tensor texts;      ///< i64[R, K] rows of the text embeddings; -1: no candidate
  at::Tensor distances;  ///< f32[R, K] the teacher's d(x, c_j), mean over the latent's elements; unused
                         ///< where `texts` is -1
};

/// `L_rank` teaches CLIP the diffusion score's ranking of an image's candidate captions. It distils soft
/// targets (Hinton et al. 2015) over a list of candidates (ListNet, Cao et al. 2007):
///
///     p = softmax_j(-d(x, c_j) / temperature),   q = softmax_j(exp(logit_scale) * cos(x, c_j)),
///     L_rank = sum_j p_j log(p_j / q_j), mean over the R images.
///
/// `image_embeds` f32[B, D] and `text_embeds` f32[T, D] need not be of unit norm; both are normalised here.
/// `logit_scale` is the stored logarithm, f32[] or f32[1]. Returns f32[], differentiable in all three.
/// `batch` may be on another device. REQUIRES: R > 0, temperature > 0.
at::Tensor ranking_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                        const at::Tensor& logit_scale, const RankBatch& batch, double temperature);

}  // namespace sdsclip

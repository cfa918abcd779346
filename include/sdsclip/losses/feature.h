#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/losses/linear_map.h"
#include "sdsclip/losses/sds.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

/// The section `feature` of a configuration: distilling the UNet's features themselves (paper, appendix A.2,
/// eq. 6), which the paper finds not to help.
struct FeatureOptions {
  double weight = 0;        ///< of the loss in L_total (eq. 6's lambda); 0: without it
  std::int64_t block = -1;  ///< what is distilled: -1 the UNet's output, 0 and up the output of that block
                            ///< (down blocks, mid block, up blocks; `features` of bundle.json)
  SdsReduction reduction = SdsReduction::kSum;  ///< over the feature's elements; then a mean over the batch
  double t_min = 0.0;                           ///< timesteps from this share of the schedule on ...
  double t_max = 1.0;                           ///< ... to below this one
};
void visit_options(OptionVisitor& visitor, FeatureOptions& options);

/// Throws `Error(kUsage)` on values that make no sense, alone or with this teacher.
void check_feature_options(const FeatureOptions& options, const Bundle& teacher);

/// The shape [C, h, w] of what is distilled.
std::vector<std::int64_t> feature_shape(const FeatureOptions& options, const Bundle& teacher);

/// An `h_w` of its own, `Linear(D, C * h * w)`, since it maps into another space than that of L_SDS.
LinearMap make_feature_map(const FeatureOptions& options, const Bundle& teacher, std::int64_t embed_dim,
                           std::uint64_t seed, c10::Device device);

/// t uniform in [t_min, t_max) and eps of each image; arguments as in `draw_sds`, whose draws they share.
SdsDraws draw_feature(const FeatureOptions& options, const Bundle& teacher, std::uint64_t seed,
                      std::int64_t step, std::int64_t batch, std::int64_t first, std::int64_t count,
                      c10::Device device);

/// I(x, c) of eq. 6: what the frozen UNet makes of the real image's noised latent,
/// `I = UNet(sqrt(abar_t) v + sqrt(1 - abar_t) eps, t, c)`, its own prediction (noise or velocity) or a
/// block's output. `latents` f32[N, C, h, w] (`DiffusionTeacher::encode_image`), `context` f32[N, L, E];
/// returns f32[N, C', h', w'], never recorded for a gradient.
at::Tensor feature_targets(DiffusionTeacher& teacher, const FeatureOptions& options,
                           const at::Tensor& latents, const at::Tensor& context, const SdsDraws& draws);

/// The sum over the images of `|| h_w(f(x)) - I(x, c) ||^2` (eq. 6, whose parenthesis is misprinted: h_w maps
/// the embedding, not the difference). `image_embeds` f32[N, D]; returns f32[], differentiable in the
/// embeddings and the map. The caller divides by the batch.
at::Tensor feature_loss_sum(const LinearMap& map, const FeatureOptions& options,
                            const at::Tensor& image_embeds, const at::Tensor& targets);

}  // namespace sdsclip

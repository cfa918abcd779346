#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/losses/linear_map.h"
#include "sdsclip/losses/sds.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

/// The configuration section `feature`: distillation of the UNet's features (paper, appendix A.2, eq. 6). The
/// paper reports that it does not help.
struct FeatureOptions {
  double weight = 0;
  std::int64_t block = -1;
  SdsReduction reduction = SdsReduction::kSum;
  double t_min = 0.0;
  double t_max = 1.0;
};
void visit_options(OptionVisitor& visitor, FeatureOptions& options);

/// Throws `Error(kUsage)` that names the key if a value is out of range or does not fit this teacher.
void check_feature_options(const FeatureOptions& options, const Bundle& teacher);

/// The shape [C, h, w] of the distilled feature.
std::vector<std::int64_t> feature_shape(const FeatureOptions& options, const Bundle& teacher);

/// This loss's own `h_w`, `Linear(D, C * h * w)`; it maps into another space than that of L_SDS.
LinearMap make_feature_map(const FeatureOptions& options, const Bundle& teacher, std::int64_t embed_dim,
                           std::uint64_t seed, c10::Device device);

/// t, uniform in [t_min, t_max), and eps per image. Arguments and draws are those of `draw_sds`.
SdsDraws draw_feature(const FeatureOptions& options, const Bundle& teacher, std::uint64_t seed,
                      std::int64_t step, std::int64_t batch, std::int64_t first, std::int64_t count,
                      c10::Device device);

/// I(x, c) of eq. 6, the frozen UNet's output for the real image's noised latent: `I = UNet(sqrt(abar_t) v +
/// sqrt(1 - abar_t) eps, t, c)`. It is the UNet's prediction (noise or velocity) or a block's output.
/// `latents` f32[N, C, h, w] (from `DiffusionTeacher::encode_image`), `context` f32[N, L, E]. Returns f32[N,
/// C', h', w'] without a gradient.
at::Tensor feature_targets(DiffusionTeacher& teacher, const FeatureOptions& options,
                           const at::Tensor& latents, const at::Tensor& context, const SdsDraws& draws);

/// The sum over images of `|| h_w(f(x)) - I(x, c) ||^2` (eq. 6; its parenthesis is misprinted, since h_w maps
/// the embedding, not the difference). `image_embeds` f32[N, D]. Returns f32[], differentiable in the
/// embeddings and the map. The caller divides by the batch size.
at::Tensor feature_loss_sum(const LinearMap& map, const FeatureOptions& options,
                            const at::Tensor& image_embeds, const at::Tensor& targets);

}  // namespace sdsclip

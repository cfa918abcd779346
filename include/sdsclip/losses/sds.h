#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sdsclip/base/options.h"
#include "sdsclip/losses/linear_map.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

enum class SdsNoising { kDdpm, kNone };
enum class SdsEmbedding { kProjected, kUnit };
enum class SdsReduction { kSum, kMean };
enum class SdsJacobian { kFull, kDropped };
enum class SdsTimesteps { kUniform, kStratified, kLogitNormal };
enum class SdsWeight { kOne, kOneMinusAbar };
enum class SdsError { kEps, kV };

/// The configuration section `sds`: L_SDS (paper, section 3, eqs. 3-4), with options for what the paper
/// leaves open.
struct SdsOptions {
  double lambda = 0.001;
  SdsNoising noising = SdsNoising::kDdpm;
  SdsEmbedding embedding = SdsEmbedding::kProjected;
  SdsReduction reduction = SdsReduction::kSum;
  SdsJacobian jacobian = SdsJacobian::kFull;
  double t_min = 0.0;
  double t_max = 1.0;
  SdsTimesteps timesteps = SdsTimesteps::kUniform;
  std::int64_t samples = 1;
  SdsWeight weight = SdsWeight::kOne;
  SdsError error = SdsError::kEps;
  std::int64_t warmup_steps = 0;
};
void visit_options(OptionVisitor& visitor, SdsOptions& options);

/// Throws `Error(kUsage)` that names the key if a value is out of range or does not fit this teacher.
void check_sds_options(const SdsOptions& options, const Bundle& teacher);

/// `h_w`, the map from CLIP's image embedding into the UNet's latent: `Linear(D, C * h * w)`.
using LatentMap = LinearMap;
LatentMap make_latent_map(std::int64_t embed_dim, const BundleLatent& latent, std::uint64_t seed,
                          c10::Device device);

/// z = h_w(e), CLIP's image embedding as a latent: f32[B, D] -> f32[B, C, h, w].
at::Tensor map_to_latent(const LatentMap& map, const at::Tensor& image_embeds, const SdsOptions& options,
                         const BundleLatent& latent);

/// Timesteps and noise for N consecutive items of a step's batch.
struct SdsDraws {
  at::Tensor timesteps;  ///< i64[N]
  at::Tensor noise;      ///< f32[N, C, h, w]
};

/// The quantile at `p` in [0, 1) of logistic(standard normal), truncated to [t_min, t_max), a part of [0, 1].
double truncated_logit_normal(double p, double t_min, double t_max);

/// The draws of items `first` to `first + count - 1` of step `step`. Sample s of image b is item `b * samples
/// + s`, where b counts through the whole batch of all processes (`batch` images). Each draw is a function of
/// (seed, step, item) alone.
///
/// `t = floor(u * T)` with u uniform in [t_min, t_max). `stratified` puts one item into each of the batch's
/// `batch * samples` strata, in an order drawn per step. `logit_normal` is `truncated_logit_normal` of the
/// uniform draw.
SdsDraws draw_sds(const SdsOptions& options, const Bundle& teacher, std::uint64_t seed, std::int64_t step,
                  std::int64_t batch, std::int64_t first, std::int64_t count, c10::Device device);

/// The sum over items of `w_t * || eps_hat(z_t, t, c) - eps ||^2` (eq. 3; `reduction: mean` divides by the
/// latent's elements). The caller divides by batch * samples. Micro-batches thus add sums instead of means of
/// means.
///
/// `z` f32[N, C, h, w]; `context` f32[N, L, E]. Returns f32[], differentiable in `z`: through the UNet
/// (`full`), or with the gradient `2 w sqrt(abar_t) (eps_hat - eps)` (`dropped`). `upstream` is the gradient that
/// the result's `backward` will get (undefined: 1); a compiled teacher computes with it.
at::Tensor sds_loss_sum(DiffusionTeacher& teacher, const SdsOptions& options, const at::Tensor& z,
                        const at::Tensor& context, const SdsDraws& draws, const at::Tensor& upstream = {});

}  // namespace sdsclip

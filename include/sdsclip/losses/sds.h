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
  double lambda = 0.001;                   ///< weight of L_SDS in L_total; 0: the teacher is not loaded
  SdsNoising noising = SdsNoising::kDdpm;  ///< none feeds z itself to the UNet, eq. 3 to the letter
  SdsEmbedding embedding = SdsEmbedding::kProjected;  ///< unit: h_w sees the embedding at unit norm
  SdsReduction reduction = SdsReduction::kSum;  ///< over the latent's elements; then a mean over the batch
  SdsJacobian jacobian = SdsJacobian::kFull;    ///< dropped: without d eps_hat / d z, as DreamFusion
  double t_min = 0.0;                           ///< timesteps from this share of the schedule on ...
  double t_max = 1.0;                           ///< ... to below this one
  SdsTimesteps timesteps = SdsTimesteps::kUniform;  ///< how they are drawn in that range
  std::int64_t samples = 1;                         ///< (t, eps) draws an image a step
  SdsWeight weight = SdsWeight::kOne;               ///< of a timestep: 1, or 1 - abar_t
  SdsError error = SdsError::kEps;  ///< v: the error of the velocity, 1 / abar_t times that of eps
  std::int64_t warmup_steps = 0;    ///< first steps that train h_w alone, on L_SDS alone
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
/// (`full`), or with the gradient `2 w sqrt(abar_t) (eps_hat - eps)` (`dropped`).
at::Tensor sds_loss_sum(DiffusionTeacher& teacher, const SdsOptions& options, const at::Tensor& z,
                        const at::Tensor& context, const SdsDraws& draws);

}  // namespace sdsclip

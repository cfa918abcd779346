#include "sdsclip/losses/sds.h"

#include <torch/nn/functional.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "sdsclip/base/error.h"
#include "sdsclip/base/random.h"
#include "sdsclip/models/noise_schedule.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 2> kNoisingNames = {"ddpm", "none"};
constexpr std::array<std::string_view, 2> kEmbeddingNames = {"projected", "unit"};
constexpr std::array<std::string_view, 2> kReductionNames = {"sum", "mean"};
constexpr std::array<std::string_view, 2> kJacobianNames = {"full", "dropped"};
constexpr std::array<std::string_view, 3> kTimestepsNames = {"uniform", "stratified", "logit_normal"};
constexpr std::array<std::string_view, 2> kWeightNames = {"one", "1-abar"};
constexpr std::array<std::string_view, 2> kErrorNames = {"eps", "v"};

/// The position of each item in a shuffle of `count` items: the number of items with a smaller random key.
/// Each is a function of its item, so any part of a batch can be drawn without the rest.
std::vector<std::int64_t> shuffled_ranks(std::uint64_t seed, std::uint64_t stream, std::int64_t count) {
  std::vector<std::pair<double, std::int64_t>> keyed;
  for (std::int64_t item = 0; item < count; ++item) {
    keyed.emplace_back(uniform_draw(seed, stream, static_cast<std::uint64_t>(item)), item);
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::int64_t> ranks(keyed.size());
  for (std::size_t rank = 0; rank < keyed.size(); ++rank) {
    ranks[static_cast<std::size_t>(keyed[rank].second)] = static_cast<std::int64_t>(rank);
  }
  return ranks;
}

std::vector<std::int64_t> draw_timesteps(const SdsOptions& options, std::int64_t train_timesteps,
                                         std::uint64_t seed, std::uint64_t stream, std::int64_t items,
                                         std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> ranks;
  if (options.timesteps == SdsTimesteps::kStratified) {
    ranks = shuffled_ranks(seed, substream(stream, 1), items);
  }
  std::vector<std::int64_t> timesteps;
  for (std::int64_t item = first; item < first + count; ++item) {
    const std::uint64_t index = static_cast<std::uint64_t>(item);
    double u = uniform_draw(seed, stream, index);
    if (options.timesteps == SdsTimesteps::kLogitNormal) {
      u = truncated_logit_normal(u, options.t_min, options.t_max);
    } else {
      if (options.timesteps == SdsTimesteps::kStratified) {
        u = (static_cast<double>(ranks[static_cast<std::size_t>(item)]) + u) / static_cast<double>(items);
      }
      u = options.t_min + (options.t_max - options.t_min) * u;
    }
    const std::int64_t timestep =
        static_cast<std::int64_t>(std::floor(u * static_cast<double>(train_timesteps)));
    timesteps.push_back(std::clamp<std::int64_t>(timestep, 0, train_timesteps - 1));
  }
  return timesteps;
}

/// w_t of each item, f32[N]: the weight of its timestep, times 1 / abar_t if the error is that of the
/// velocity (`eps_hat - eps = sqrt(abar_t) (v_hat - v)` for the same z_t).
at::Tensor item_weights(const SdsOptions& options, const at::Tensor& abar) {
  at::Tensor weights = options.weight == SdsWeight::kOneMinusAbar ? 1.0 - abar : at::ones_like(abar);
  if (options.error == SdsError::kV) weights = weights / abar;
  return weights;
}

}  // namespace

void visit_options(OptionVisitor& visitor, SdsOptions& options) {
  visitor.number(
      "lambda", options.lambda, {.least = 0},
      "Weight of L_SDS in L_total (eq. 4); 0: the teacher is not loaded. A useful value depends on "
      "`reduction`; lower it if zero-shot accuracy falls.");
  visitor.choice("noising", options.noising, kNoisingNames,
                 "Input of the UNet: ddpm (the noised z_t) or none (z itself, eq. 3 to the letter).");
  visitor.choice("embedding", options.embedding, kEmbeddingNames,
                 "Input of h_w: the projected image embedding, or the same at unit norm.");
  visitor.choice(
      "reduction", options.reduction, kReductionNames,
      "Reduction over the latent's elements; the batch is always averaged. sum is 16,384 times as large as "
      "mean for a 4x64x64 latent, so change `lambda` with it.");
  visitor.choice(
      "jacobian", options.jacobian, kJacobianNames,
      "The UNet's Jacobian in the gradient: full, or dropped as in DreamFusion. dropped needs no backward "
      "pass through the UNet, so it is faster.");
  visitor.option("t_min", options.t_min,
                 "First timestep, as a fraction of the schedule. Raise it to train on noisier latents only.");
  visitor.option("t_max", options.t_max, "End of the timesteps, as a fraction of the schedule.");
  visitor.choice(
      "timesteps", options.timesteps, kTimestepsNames,
      "Distribution of the timesteps between t_min and t_max. stratified spreads each batch evenly, which "
      "lowers the variance of the loss.");
  visitor.count(
      "samples", options.samples, {1},
      "(t, eps) draws per image and step. More draws lower the gradient's variance at proportional cost.");
  visitor.choice("weight", options.weight, kWeightNames,
                 "Weight of a timestep's error. 1-abar lowers the weight of little-noised latents.");
  visitor.choice(
      "error", options.error, kErrorNames,
      "Target of the error: the noise (eps) or the velocity (v), whose error is 1/abar_t times as large.");
  visitor.count(
      "warmup_steps", options.warmup_steps, {0, kMostCount},
      "First steps that train h_w alone, by L_SDS alone. Set it so that a random h_w does not disturb CLIP.");
}

void check_sds_options(const SdsOptions& options, const Bundle& teacher) {
  check_ranges(options, "sds");
  if (!(options.t_min >= 0 && options.t_min < options.t_max && options.t_max <= 1)) {
    throw usage_error("sds.t_min, sds.t_max: got {} and {}, expected 0 <= t_min < t_max <= 1", options.t_min,
                      options.t_max);
  }
  if (options.noising == SdsNoising::kNone) {
    if (teacher.prediction_type == PredictionType::kVPrediction) {
      throw usage_error(
          "sds.noising: got none with a v-prediction teacher ({}), which needs a noised latent; use ddpm",
          teacher.folder.string());
    }
    if (options.error == SdsError::kV) {
      throw usage_error("sds.error: got v with sds.noising=none, which has no velocity; use eps");
    }
  }
}

double truncated_logit_normal(double p, double t_min, double t_max) {
  // Work in the half of the normal distribution with small probabilities, which would be lost beside 1.
  const double sign = t_min >= 0.5 ? -1.0 : 1.0;
  const auto below = [sign](double t) {  // P(x < sign * logit(t)); the logit is infinite at 0 and 1
    return 0.5 * std::erfc(-sign * (std::log(t) - std::log1p(-t)) / std::numbers::sqrt2);
  };
  const double low = below(t_min);
  const at::Tensor probability = at::full({}, low + p * (below(t_max) - low), at::kDouble);
  const double normal = sign * at::special_ndtri(probability).item<double>();
  const double u = 1.0 / (1.0 + std::exp(-normal));
  return std::clamp(u, t_min, std::nextafter(t_max, 0.0));
}

LatentMap make_latent_map(std::int64_t embed_dim, const BundleLatent& latent, std::uint64_t seed,
                          c10::Device device) {
  const std::int64_t elements = latent.channels * latent.size * latent.size;
  return make_linear_map(embed_dim, elements, seed, "sds/h_w", device);
}

at::Tensor map_to_latent(const LatentMap& map, const at::Tensor& image_embeds, const SdsOptions& options,
                         const BundleLatent& latent) {
  namespace F = torch::nn::functional;
  const at::Tensor input = options.embedding == SdsEmbedding::kUnit
                               ? F::normalize(image_embeds, F::NormalizeFuncOptions().dim(1))
                               : image_embeds;
  return at::linear(input, map.weight, map.bias).view({-1, latent.channels, latent.size, latent.size});
}

SdsDraws draw_sds(const SdsOptions& options, const Bundle& teacher, std::uint64_t seed, std::int64_t step,
                  std::int64_t batch, std::int64_t first, std::int64_t count, c10::Device device) {
  const std::uint64_t step_key = static_cast<std::uint64_t>(step);
  const std::uint64_t time_stream = substream(stream_of("sds/timestep"), step_key);
  const std::uint64_t noise_stream = substream(stream_of("sds/noise"), step_key);
  const std::vector<std::int64_t> timesteps = draw_timesteps(
      options, teacher.schedule.train_timesteps, seed, time_stream, batch * options.samples, first, count);
  const BundleLatent& latent = teacher.latent;
  at::Tensor noise = at::empty({count, latent.channels, latent.size, latent.size}, at::kFloat);
  const std::size_t elements = static_cast<std::size_t>(latent.channels * latent.size * latent.size);
  for (std::int64_t i = 0; i < count; ++i) {
    float* item = noise.data_ptr<float>() + static_cast<std::size_t>(i) * elements;
    fill_normal(seed, substream(noise_stream, static_cast<std::uint64_t>(first + i)), 0, {item, elements});
  }
  return {at::tensor(timesteps, at::kLong).to(device), noise.to(device)};
}

at::Tensor sds_loss_sum(DiffusionTeacher& teacher, const SdsOptions& options, const at::Tensor& z,
                        const at::Tensor& context, const SdsDraws& draws, const at::Tensor& upstream) {
  const at::Tensor abar = teacher.alphas_cumprod().index_select(0, draws.timesteps);
  const bool noised = options.noising == SdsNoising::kDdpm;
  const bool full = options.jacobian == SdsJacobian::kFull;
  const at::Tensor input = noised ? add_noise(z, draws.noise, draws.timesteps, teacher.alphas_cumprod()) : z;
  at::Tensor weights = item_weights(options, abar);
  if (options.reduction == SdsReduction::kMean) weights = weights / static_cast<double>(z[0].numel());
  if (full && at::GradMode::is_enabled() && teacher.runs_compiled(TeacherGraph::kStep, z.size(0))) {
    if (teacher.bundle().prediction_type == PredictionType::kEpsilon) {
      return teacher.weighted_error(input, draws.timesteps, context, draws.noise, weights, upstream);
    }
    // eps_hat - eps = sqrt(abar_t) (v_hat - v)
    const at::Tensor target = velocity(z, draws.noise, draws.timesteps, teacher.alphas_cumprod());
    return teacher.weighted_error(input, draws.timesteps, context, target, weights * abar, upstream);
  }
  at::Tensor residual;
  {
    const at::AutoGradMode record(full && at::GradMode::is_enabled());
    residual = teacher.predict_noise(input, draws.timesteps, context) - draws.noise;
  }
  const at::Tensor loss = (residual.pow(2).sum({1, 2, 3}) * weights).sum();
  if (full) return loss;
  const at::Tensor slope = noised ? 2.0 * weights * abar.sqrt() : 2.0 * weights;
  const at::Tensor gradient = slope.view({-1, 1, 1, 1}) * residual;
  const at::Tensor carrier = (z * gradient.detach()).sum();  // its gradient in z is `gradient`
  return loss.detach() + (carrier - carrier.detach());
}

}  // namespace sdsclip

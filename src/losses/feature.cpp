#include "sdsclip/losses/feature.h"

#include <ATen/ATen.h>

#include <array>
#include <functional>
#include <numeric>

#include "sdsclip/base/error.h"
#include "sdsclip/models/noise_schedule.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 2> kFeatureReductions = {"sum", "mean"};

}  // namespace

void visit_options(OptionVisitor& visitor, FeatureOptions& options) {
  visitor.number("weight", options.weight, {.least = 0},
                 "Weight of the feature loss in L_total; 0: it is not computed.");
  visitor.option(
      "block", options.block,
      "Distilled features: -1 for the UNet's output, 0 and above for the output of that block (down, mid, "
      "up).");
  visitor.choice("reduction", options.reduction, kFeatureReductions,
                 "Reduction over the feature's elements; the batch is always averaged.");
  visitor.option("t_min", options.t_min, "First timestep, as a fraction of the schedule.");
  visitor.option("t_max", options.t_max, "End of the timesteps, as a fraction of the schedule.");
}

void check_feature_options(const FeatureOptions& options, const Bundle& teacher) {
  if (!(options.t_min >= 0 && options.t_min < options.t_max && options.t_max <= 1)) {
    throw usage_error("feature.t_min, feature.t_max: got {} and {}, expected 0 <= t_min < t_max <= 1",
                      options.t_min, options.t_max);
  }
  const std::int64_t blocks = static_cast<std::int64_t>(teacher.features.size());
  if (options.block < -1 || options.block >= blocks) {
    throw usage_error("feature.block: got {}, expected -1 (the UNet's output){}", options.block,
                      blocks > 0
                          ? fmt::format(" or 0 to {}, a block of {}", blocks - 1, teacher.folder.string())
                          : fmt::format("; {} lists no features: export it again", teacher.folder.string()));
  }
}

std::vector<std::int64_t> feature_shape(const FeatureOptions& options, const Bundle& teacher) {
  if (options.block >= 0) return teacher.features.at(static_cast<std::size_t>(options.block));
  return {teacher.latent.channels, teacher.latent.size, teacher.latent.size};
}

LinearMap make_feature_map(const FeatureOptions& options, const Bundle& teacher, std::int64_t embed_dim,
                           std::uint64_t seed, c10::Device device) {
  const std::vector<std::int64_t> shape = feature_shape(options, teacher);
  const std::int64_t elements =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  return make_linear_map(embed_dim, elements, seed, "feature/h_w", device);
}

SdsDraws draw_feature(const FeatureOptions& options, const Bundle& teacher, std::uint64_t seed,
                      std::int64_t step, std::int64_t batch, std::int64_t first, std::int64_t count,
                      c10::Device device) {
  SdsOptions draws;
  draws.t_min = options.t_min;
  draws.t_max = options.t_max;
  return draw_sds(draws, teacher, seed, step, batch, first, count, device);
}

at::Tensor feature_targets(DiffusionTeacher& teacher, const FeatureOptions& options,
                           const at::Tensor& latents, const at::Tensor& context, const SdsDraws& draws) {
  const at::NoGradGuard no_grad;
  const at::Tensor noised = add_noise(latents, draws.noise, draws.timesteps, teacher.alphas_cumprod());
  if (options.block < 0) return teacher.predict(noised, draws.timesteps, context);
  return teacher.features(noised, draws.timesteps, context, options.block);
}

at::Tensor feature_loss_sum(const LinearMap& map, const FeatureOptions& options,
                            const at::Tensor& image_embeds, const at::Tensor& targets) {
  const at::Tensor mapped = at::linear(image_embeds, map.weight, map.bias);
  const at::Tensor loss = (mapped - targets.flatten(1)).pow(2).sum();
  if (options.reduction == SdsReduction::kSum) return loss;
  return loss / static_cast<double>(map.bias.numel());
}

}  // namespace sdsclip

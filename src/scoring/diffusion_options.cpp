#include "sdsclip/scoring/diffusion_options.h"

#include <array>
#include <cmath>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/scoring/timestep_weights.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 3> kGridNames = {"nested", "even", "diffusion-itm"};
constexpr std::array<std::string_view, 3> kNormNames = {"l2", "l1", "l2_unsquared"};
constexpr std::array<std::string_view, 2> kTargetNames = {"eps", "v"};
constexpr std::int64_t kMostSamples = 1'000'000;  // per pair; publications use up to 1,000

void require(bool condition, std::string_view option, const std::string& got, std::string_view expected) {
  if (!condition) throw usage_error("{}: got {}, expected {}", option, got, expected);
}

void check_sampling(const SamplingOptions& sampling) {
  require(sampling.samples >= 1 && sampling.samples <= kMostSamples, "samples",
          std::to_string(sampling.samples), fmt::format("1 to {}", kMostSamples));
  require(sampling.seed >= 0, "seed", std::to_string(sampling.seed), "0 or more");
  const bool in_order = 0 <= sampling.t_min && sampling.t_min < sampling.t_max && sampling.t_max <= 1;
  require(in_order, "t_min, t_max", fmt::format("{} and {}", sampling.t_min, sampling.t_max),
          "0 <= t_min < t_max <= 1");
  const bool whole = sampling.t_min == 0 && sampling.t_max == 1;
  if (sampling.grid == TimestepGrid::kDiffusionItm && !whole) {
    throw usage_error("t_min, t_max: the grid diffusion-itm has its own range; leave them at 0 and 1");
  }
  if (sampling.grid == TimestepGrid::kDiffusionItm && sampling.samples > 1000) {
    throw usage_error("samples: got {}, the grid diffusion-itm has at most 1000", sampling.samples);
  }
}

void check_adaptive(const AdaptiveOptions& adaptive, const SamplingOptions& sampling) {
  if (!adaptive.enabled) return;
  if (sampling.grid != TimestepGrid::kNested) {
    throw usage_error(
        "adaptive: a prefix of the grid {} does not cover the range of timesteps; use the grid nested",
        kGridNames[static_cast<std::size_t>(sampling.grid)]);
  }
  require(0.5 <= adaptive.confidence && adaptive.confidence < 1, "confidence",
          std::to_string(adaptive.confidence), "0.5 or more and less than 1");
  require(adaptive.min_samples >= 2, "min_samples", std::to_string(adaptive.min_samples),
          "2 or more: a variance needs two");
  require(std::isfinite(adaptive.budget) && adaptive.budget >= 0, "budget", std::to_string(adaptive.budget),
          "0 (no limit) or more");
  require(adaptive.budget == 0 || adaptive.budget >= static_cast<double>(adaptive.min_samples), "budget",
          std::to_string(adaptive.budget), "min_samples or more, since every pair has these");
}

}  // namespace

void visit_options(OptionVisitor& visitor, SamplingOptions& options) {
  visitor.option("samples", options.samples, "(t, eps) draws a pair; adaptive: at most so many");
  visitor.option("seed", options.seed, "of the noise and of the nested grid's shift");
  visitor.option("t_min", options.t_min, "t = floor(u * train_timesteps), u in [t_min, t_max)");
  visitor.option("t_max", options.t_max, "see t_min");
  visitor.choice("grid", options.grid, kGridNames, "where the timesteps lie; only nested can be extended");
}

void visit_options(OptionVisitor& visitor, EstimatorOptions& options) {
  visitor.choice("norm", options.norm, kNormNames,
                 "sum of squares, of absolute values, or root of the first");
  visitor.choice("error", options.error, kTargetNames, "of the noise, or of the velocity");
  visitor.option("weight", options.weight, "of a timestep: uniform, snr, or learned:FILE");
  visitor.option("subtract_unconditional", options.subtract_unconditional,
                 "score d(x, c) - d(x, ''), which makes images comparable");
}

void visit_options(OptionVisitor& visitor, AdaptiveOptions& options) {
  visitor.option("enabled", options.enabled, "stop candidates whose paired difference is decided");
  visitor.option("confidence", options.confidence, "of a decision: two-sided, paired t-test");
  visitor.option("min_samples", options.min_samples, "of every pair, before any decision");
  visitor.option("budget", options.budget, "UNet evaluations a pair, on average over all pairs; 0: no limit");
}

void visit_options(OptionVisitor& visitor, DiffusionScoreOptions& options) {
  visitor.section("sampling", options.sampling, "what is drawn");
  visitor.section("estimator", options.estimator, "how errors become a score");
  visitor.section("adaptive", options.adaptive, "spending samples where a decision is open");
  visitor.choice_or("resize", options.resize, "bundle", kResizeNames, "how an image becomes a square");
  visitor.choice("convert", options.convert, kConvertNames,
                 "when a palette, alpha or CMYK image becomes RGB: before or after the resize");
  visitor.option("micro_batch", options.micro_batch,
                 "UNet evaluations at once, at most; 0: chosen by device");
  visitor.option("encode_batch", options.encode_batch, "images or texts encoded at once, at most");
  visitor.option("cache_mib", options.cache_mib, "memory for latents and contexts");
  visitor.option("workers", options.workers, "threads that decode images");
  visitor.option("quiet", options.quiet, "no progress bar");
}

void apply_preset(std::string_view name, DiffusionScoreOptions& options) {
  options.adaptive.enabled = false;
  options.estimator = {};
  options.sampling.t_min = 0.0;
  options.sampling.t_max = 1.0;
  if (name == "paper") {
    options.sampling.samples = 50;
    options.sampling.grid = TimestepGrid::kNested;
  } else if (name == "diffusion-itm") {
    options.sampling.grid = TimestepGrid::kDiffusionItm;
    options.estimator.norm = ErrorNorm::kL2Unsquared;
    options.estimator.subtract_unconditional = true;
    options.resize = ResizeMode::kSquash;
  } else if (name == "diffusion-classifier") {
    options.sampling.grid = TimestepGrid::kEven;
    options.resize = ResizeMode::kShortestEdge;
  } else {
    const std::vector<std::string> known = {"paper", "diffusion-itm", "diffusion-classifier"};
    throw usage_error("preset: got '{}', expected one of {}{}", name, join(known, ", "),
                      did_you_mean(name, known));
  }
}

void check_options(const DiffusionScoreOptions& options) {
  check_sampling(options.sampling);
  check_adaptive(options.adaptive, options.sampling);
  const std::string& weight = options.estimator.weight;
  require(weight == "uniform" || weight == "snr" || learned_weights_file(weight), "weight",
          fmt::format("'{}'", weight), "uniform, snr or learned:FILE");
  require(options.micro_batch >= 0, "micro_batch", std::to_string(options.micro_batch), "0 (auto) or more");
  require(options.encode_batch >= 1, "encode_batch", std::to_string(options.encode_batch), "1 or more");
  require(options.cache_mib >= 1, "cache_mib", std::to_string(options.cache_mib), "1 or more");
  require(options.workers >= 1, "workers", std::to_string(options.workers), "1 or more");
}

}  // namespace sdsclip

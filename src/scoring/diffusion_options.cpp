#include "sdsclip/scoring/diffusion_options.h"

#include <array>
#include <cmath>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/base/work_ahead.h"

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
  require(sampling.samples >= 1 && sampling.samples <= kMostSamples, "--samples",
          std::to_string(sampling.samples), fmt::format("1 to {}", kMostSamples));
  const bool in_order = 0 <= sampling.t_min && sampling.t_min < sampling.t_max && sampling.t_max <= 1;
  require(in_order, "--t-range", fmt::format("{} and {}", sampling.t_min, sampling.t_max),
          "two fractions, 0 <= first < last <= 1");
  const bool whole = sampling.t_min == 0 && sampling.t_max == 1;
  if (sampling.grid == TimestepGrid::kDiffusionItm && !whole) {
    throw usage_error("--t-range: the preset diffusion-itm has its own range; leave --t-range out");
  }
  if (sampling.grid == TimestepGrid::kDiffusionItm && sampling.samples > 1000) {
    throw usage_error("--samples: got {}, the preset diffusion-itm has at most 1000", sampling.samples);
  }
}

void check_adaptive(const AdaptiveOptions& adaptive, const SamplingOptions& sampling) {
  if (!adaptive.enabled) return;
  if (sampling.grid != TimestepGrid::kNested) {
    throw usage_error(
        "--adaptive: a prefix of the grid {} does not cover the range of timesteps; use another --preset",
        kGridNames[static_cast<std::size_t>(sampling.grid)]);
  }
  require(0.5 <= adaptive.confidence && adaptive.confidence < 1, "--confidence",
          std::to_string(adaptive.confidence), "0.5 or more and less than 1");
  require(adaptive.min_samples >= 2, "--min-samples", std::to_string(adaptive.min_samples),
          "2 or more: a variance needs two");
  require(std::isfinite(adaptive.budget) && adaptive.budget >= 0, "--budget", std::to_string(adaptive.budget),
          "0 (no limit) or more");
  require(adaptive.budget == 0 || adaptive.budget >= static_cast<double>(adaptive.min_samples), "--budget",
          std::to_string(adaptive.budget), "--min-samples or more, since every pair gets these");
}

}  // namespace

void visit_options(OptionVisitor& visitor, SamplingOptions& options) {
  visitor.count(
      "samples", options.samples, {1, kMostSamples},
      "Number of (t, eps) draws per pair of image and caption. With --adaptive: the most that a pair may "
      "get. More draws give a narrower error at proportional cost; --convergence shows whether they are "
      "enough.");
  visitor.count(
      "seed", options.seed, {0},
      "Seed of the noise and of the shift of the nested grid. Change it to measure the variance between "
      "draws.");
  visitor.option(
      "t_min", options.t_min,
      "First timestep as a fraction of the schedule: t = floor(u * train_timesteps) with u in [t_min, "
      "t_max).");
  visitor.option("t_max", options.t_max, "End of the timesteps as a fraction of the schedule; see t_min.");
  visitor.choice("grid", options.grid, kGridNames,
                 "Places of the timesteps. Only nested can be extended by more samples.");
}

void visit_options(OptionVisitor& visitor, EstimatorOptions& options) {
  visitor.choice("norm", options.norm, kNormNames,
                 "Norm of a sample's error. l2: sum of squares, as in the paper's equations 1 and 2. l1: sum "
                 "of absolute values. "
                 "l2_unsquared: root of l2, as in diffusion-itm.");
  visitor.choice(
      "error", options.error, kTargetNames,
      "Target of the error: the noise (eps) or the velocity (v). v gives noisy timesteps more weight.");
  visitor.option("weight", options.weight,
                 "Weight of each timestep: uniform, snr or learned:FILE. FILE is written by sdsclip "
                 "diffusion-weights, from cases held out from the ones to score.");
  visitor.option(
      "subtract_unconditional", options.subtract_unconditional,
      "Score d(x, c) - d(x, ''). It makes images comparable, at the cost of one more caption per image. "
      "Set it for metrics that select an image for a caption.");
}

void visit_options(OptionVisitor& visitor, AdaptiveOptions& options) {
  visitor.option(
      "enabled", options.enabled,
      "Stop sampling candidates whose paired difference is decided. It saves UNet evaluations if most "
      "cases are easy. With --judge-only: what it would have answered from the stored errors.");
  visitor.option(
      "confidence", options.confidence,
      "Two-sided confidence of a decision by the paired t-test. Lower it to save evaluations at the risk "
      "of wrong decisions.");
  visitor.count("min_samples", options.min_samples, {2, kMostSamples},
                "Samples that every pair gets before the first decision.");
  visitor.option("budget", options.budget,
                 "Most UNet evaluations per pair, as a mean over all pairs; 0: no limit.");
}

void visit_options(OptionVisitor& visitor, DiffusionScoreOptions& options) {
  visitor.section("sampling", options.sampling, "The draws, which determine the stored errors.");
  visitor.section("estimator", options.estimator, "How stored errors become a score.");
  visitor.section("adaptive", options.adaptive, "Adaptive sampling: samples go to undecided candidates.");
  visitor.choice_or(
      "resize", options.resize, "bundle", kResizeNames,
      "How an image becomes a square: bundle (as the bundle says), shortest_edge (resize, then crop the "
      "middle) or squash (ignore the aspect ratio).");
  visitor.choice("convert", options.convert, kConvertNames, kConvertText);
  visitor.count("micro_batch", options.micro_batch, {0, kMostBatch},
                "Most UNet evaluations at once; 0: chosen by device. Lower it if memory runs out.");
  visitor.count(
      "encode_batch", options.encode_batch, {1, kMostBatch},
      "Most images or texts at once through the VAE or the text encoder. Lower it if memory runs out.");
  visitor.count("cache_mib", options.cache_mib, {1, kMostCount},
                "Memory for latents and contexts, in MiB. What does not fit is encoded again.");
  visitor.count("workers", options.workers, {0, kMostThreads}, kWorkersText);
  visitor.option("quiet", options.quiet, "Show no progress bar.");
}

std::optional<std::string> learned_weights_file(const std::string& weight) {
  constexpr std::string_view kLearned = "learned:";
  if (!weight.starts_with(kLearned) || weight.size() == kLearned.size()) return std::nullopt;
  return weight.substr(kLearned.size());
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
    const std::vector<std::string> known(kPresetNames.begin(), kPresetNames.end());
    throw usage_error("--preset: got '{}', expected one of {}{}", name, join(known, ", "),
                      did_you_mean(name, known));
  }
}

void check_options(const DiffusionScoreOptions& options) {
  check_sampling(options.sampling);
  check_adaptive(options.adaptive, options.sampling);
  const std::string& weight = options.estimator.weight;
  require(weight == "uniform" || weight == "snr" || learned_weights_file(weight), "--weight",
          fmt::format("'{}'", weight), "uniform, snr or learned:FILE");
  check_ranges(options);
}

}  // namespace sdsclip

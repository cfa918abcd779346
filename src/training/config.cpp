#include "sdsclip/training/config.h"

#include <array>

#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kMostItems = std::int64_t{1} << 31;  // per batch, with its L_SDS draws
constexpr std::int64_t kMostWorkers = 1024;                 // one thread each
constexpr double kLargestRate = 1e30;
constexpr double kLargestDecay = 1e6;
constexpr std::array<std::string_view, 2> kScheduleNames = {"cosine", "constant"};
constexpr std::array<std::string_view, 4> kTuneNames = {"layernorm", "layernorm+bias", "lora", "all"};

constexpr NumberRange kPositive = {.least = 0, .without_least = true};
constexpr NumberRange kBelowOne = {.least = 0, .most = 1, .without_most = true};
constexpr IntegerRange kSteps = {0, kMostCount};

void require_at_most(std::string_view key, std::int64_t value, std::int64_t most) {
  if (value > most) throw usage_error("{}: got {}, expected at most {}", key, value, most);
}

void visit_optimizer(OptionVisitor& visitor, TrainOptions& options) {
  // Factors of float32 tensors in AdamW must fit into float32.
  visitor.number("lr", options.lr, {.least = 0, .most = kLargestRate, .without_least = true},
                 "Peak learning rate. Lower it if the loss diverges or zero-shot accuracy falls.");
  visitor.number(
      "lr_h_w", options.lr_h_w, {.least = 0, .most = kLargestRate},
      "Peak learning rate of h_w; 0: the same as `lr`. Raise it if L_SDS falls slowly, since h_w starts at "
      "random.");
  visitor.choice("schedule", options.schedule, kScheduleNames,
                 "Learning rate after the warm-up: cosine decay to 0, or constant.");
  visitor.count("warmup_steps", options.warmup_steps, kSteps,
                "Steps in which the learning rates rise linearly to their peaks.");
  visitor.number("weight_decay", options.weight_decay, {.least = 0, .most = kLargestDecay},
                 "AdamW's weight decay. It does not apply to tensors of fewer than two dimensions, such as "
                 "LayerNorm's.");
  visitor.number("beta1", options.beta1, kBelowOne, "AdamW's beta 1: decay of the mean gradient.");
  visitor.number(
      "beta2", options.beta2, kBelowOne,
      "AdamW's beta 2: decay of the mean squared gradient. Lower it if single batches cause loss spikes.");
  visitor.number("epsilon", options.epsilon, kPositive,
                 "AdamW's epsilon: keeps the update finite if gradients are tiny.");
  visitor.number(
      "grad_clip_norm", options.grad_clip_norm, {.least = 0},
      "Largest norm of all gradients together; 0: no clipping. Set it if single batches cause loss spikes.");
}

}  // namespace

void visit_options(OptionVisitor& visitor, TrainOptions& options) {
  visitor.option("epochs", options.epochs, "Passes over the data. Not read if `steps` is set.");
  visitor.count("steps", options.steps, kSteps,
                "Optimizer steps; 0: as many as `epochs` gives. Set it to compare runs at equal cost.");
  visitor.count("batch_size", options.batch_size, {1, kMostItems},
                "Pairs per step. A larger batch gives L_CLIP more negatives; the micro-batches below bound "
                "the memory.");
  visitor.count_or_auto(
      "micro_batch_clip", options.micro_batch_clip,
      "Images, and as many texts, at once through CLIP. 0: the whole batch, which needs no second "
      "forward pass. auto: the whole batch, or the largest half, third, ... of it that fits into "
      "memory. Lower it if memory runs out; the result is the same up to float rounding.");
  visitor.count_or_auto(
      "micro_batch_unet", options.micro_batch_unet,
      "Latents at once through the UNet; 0: all; auto: as for `micro_batch_clip`. Lower it if memory "
      "runs out.");
  visit_optimizer(visitor, options);
  visitor.choice(
      "tune", options.tune, kTuneNames,
      "Trained parameters of CLIP: layernorm (the paper), layernorm+bias, lora or all. More parameters fit "
      "the data better and may cost zero-shot accuracy.");
  visitor.section("lora", options.lora, "Low-rank updates of weights. Only read if `tune` is lora.");
  visitor.option("tune_temperature", options.tune_temperature,
                 "Whether `logit_scale` is trained too, and `logit_bias` with the sigmoid loss.");
  visitor.choice("precision", options.precision, kPrecisionNames, kPrecisionText);
  visitor.choice("compiled", options.compiled, kCompiledNames, kCompiledText);
  visitor.option("deterministic", options.deterministic, kDeterministicText);
  visitor.count(
      "checkpoint_every", options.checkpoint_every, kSteps,
      "Steps between checkpoints; 0: only before evaluations and at the end. A killed run repeats at most "
      "this many steps.");
  visitor.number("checkpoint_minutes", options.checkpoint_minutes, {.least = 0},
                 "Most minutes between checkpoints; 0: no limit. Set it if steps are slow.");
  visitor.count("keep_checkpoints", options.keep_checkpoints, {1, kMostCount},
                "Number of newest checkpoints to keep, in addition to the best one.");
  visitor.count("evaluate_every", options.evaluate_every, kSteps,
                "Steps between evaluations (section `evaluate`); 0: only at the end.");
  visitor.count("diagnose_every", options.diagnose_every, kSteps,
                "Steps between measurements of L_SDS with shuffled captions, which cost one UNet pass each; "
                "0: never. A gap to the matched captions shows that L_SDS reads the captions.");
}

void visit_options(OptionVisitor& visitor, TrainConfig& config) {
  visitor.option("clip", config.clip, "Bundle folder of the student, or its name below $SDSCLIP_MODELS.");
  visitor.option(
      "teacher", config.teacher,
      "Bundle folder of the teacher, or its name below $SDSCLIP_MODELS. Not read if sds.lambda and "
      "feature.weight are 0.");
  visitor.count("seed", config.seed, {0},
                "Seed of all random draws. Change it to measure the variance between runs.");
  visitor.section("data", config.data, "Training pairs.");
  visitor.section("train", config.train, "Optimization.");
  visitor.section("contrastive", config.contrastive, "L_CLIP (appendix C.1 of the paper).");
  visitor.section("sds", config.sds, "L_SDS (section 3 of the paper).");
  visitor.section("feature", config.feature,
                  "Distillation of the UNet's features (appendix A.2), the paper's negative control.");
  visitor.section("rank", config.rank, "L_rank: the teacher's ranking of candidate captions.");
  visitor.section("evaluate", config.evaluate, "Benchmarks during training.");
}

bool trains_logit_bias(const TrainConfig& config) {
  return config.train.tune_temperature && config.contrastive.kind == ContrastiveKind::kSigmoid;
}

bool uses_teacher(const TrainConfig& config) {
  return config.sds.lambda > 0 || config.feature.weight > 0;
}

void check_train_config(const TrainConfig& config) {
  check_ranges(config);
  const TrainOptions& train = config.train;
  if (config.clip.empty()) throw usage_error("clip: got nothing, expected a bundle folder");
  if (uses_teacher(config) && config.teacher.empty()) {
    throw usage_error(
        "teacher: got nothing, expected a bundle folder, as sds.lambda is {} and feature.weight {}",
        config.sds.lambda, config.feature.weight);
  }
  if (train.steps == 0 && !(train.epochs > 0)) {
    throw usage_error("train.epochs: got {}, expected a number above 0", train.epochs);
  }
  require_at_most("train.micro_batch_clip", train.micro_batch_clip, kMostItems);
  require_at_most("train.micro_batch_unet", train.micro_batch_unet, kMostItems);
  require_at_most("sds.samples", config.sds.samples, kMostItems / train.batch_size);
  require_at_most("data.workers", config.data.workers, kMostWorkers);
  if (train.lora.targets.empty()) {
    throw usage_error("train.lora.targets: got nothing, expected parts of weights' names, such as [attn]");
  }
  if (config.contrastive.weight == 0 && config.rank.weight == 0 && !uses_teacher(config)) {
    throw usage_error(
        "contrastive.weight, sds.lambda, feature.weight and rank.weight: got 0 for all, expected at least "
        "one "
        "loss");
  }
  check_rank_options(config.rank);
  check_evaluate_options(config.evaluate);
}

void warn_of_unused_options(const TrainConfig& config) {
  const TrainOptions& train = config.train;
  const LoraOptions lora;
  const auto warn = [](std::string_view key, std::string_view why) {
    log_warning("{} is set but has no effect, as {}", key, why);
  };
  if (train.tune != Tune::kLora) {
    constexpr std::string_view kWhy = "train.tune is not lora";
    if (train.lora.rank != lora.rank) warn("train.lora.rank", kWhy);
    if (train.lora.alpha != lora.alpha) warn("train.lora.alpha", kWhy);
    if (train.lora.targets != lora.targets) warn("train.lora.targets", kWhy);
  }
  if (config.evaluate.benchmarks.empty()) {
    constexpr std::string_view kWhy = "evaluate.benchmarks is empty";
    if (train.evaluate_every > 0) warn("train.evaluate_every", kWhy);
    if (config.evaluate.limit > 0) warn("evaluate.limit", kWhy);
    if (!config.evaluate.data.empty()) warn("evaluate.data", kWhy);
  }
  if (!config.rank.targets.empty() && config.rank.weight == 0) warn("rank.targets", "rank.weight is 0");
  if (config.contrastive.hard_negatives && config.contrastive.weight == 0)
    warn("contrastive.hard_negatives", "contrastive.weight is 0");
}

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <string>

#include "sdsclip/base/options.h"
#include "sdsclip/data/loader.h"
#include "sdsclip/losses/contrastive.h"
#include "sdsclip/losses/feature.h"
#include "sdsclip/losses/ranking.h"
#include "sdsclip/losses/sds.h"
#include "sdsclip/models/device.h"
#include "sdsclip/models/lora.h"
#include "sdsclip/models/trainable.h"
#include "sdsclip/training/evaluation.h"

namespace sdsclip {

enum class LearningRateSchedule { kCosine, kConstant };

/// The configuration section `train`.
struct TrainOptions {
  double epochs = 5;
  std::int64_t steps = 0;
  std::int64_t batch_size = 32;
  std::int64_t micro_batch_clip = 0;
  std::int64_t micro_batch_unet = 8;
  double lr = 5e-5;
  double lr_h_w = 0;
  LearningRateSchedule schedule = LearningRateSchedule::kCosine;
  std::int64_t warmup_steps = 0;
  double weight_decay = 0.2;
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-6;
  double grad_clip_norm = 0;
  Tune tune = Tune::kLayerNorm;
  LoraOptions lora;
  bool tune_temperature = false;
  Precision precision = Precision::kFp32;
  CompiledUse compiled = CompiledUse::kIfFitting;
  bool deterministic = true;
  std::int64_t checkpoint_every = 100;
  double checkpoint_minutes = 0;
  std::int64_t keep_checkpoints = 2;
  std::int64_t evaluate_every = 0;
  std::int64_t diagnose_every = 10;
};
void visit_options(OptionVisitor& visitor, TrainOptions& options);

/// A whole configuration file.
struct TrainConfig {
  std::string clip;
  std::string teacher;
  std::int64_t seed = 0;
  DataOptions data;
  TrainOptions train;
  ContrastiveOptions contrastive;
  SdsOptions sds;
  FeatureOptions feature;
  RankOptions rank;
  EvaluateOptions evaluate;
};
void visit_options(OptionVisitor& visitor, TrainConfig& config);

/// Throws `Error(kUsage)` that names the key if a value is out of range or contradicts another one.
void check_train_config(const TrainConfig& config);

/// Logs a warning for each option that is set although another option makes it meaningless.
void warn_of_unused_options(const TrainConfig& config);

/// Whether SigLIP's `logit_bias` is trained.
bool trains_logit_bias(const TrainConfig& config);

/// Whether the run needs the teacher. L_rank does not: its targets were computed before.
bool uses_teacher(const TrainConfig& config);

}  // namespace sdsclip

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
  double epochs = 5;                  ///< passes over the data, unless `steps` says otherwise
  std::int64_t steps = 0;             ///< optimizer steps; 0: `epochs` decides
  std::int64_t batch_size = 32;       ///< pairs a step
  std::int64_t micro_batch_clip = 0;  ///< images, and texts, through CLIP at a time; 0: all; kAuto
  std::int64_t micro_batch_unet = 8;  ///< latents through the UNet at a time; 0: all; kAuto
  double lr = 5e-5;                   ///< peak learning rate
  double lr_h_w = 0;                  ///< of h_w; 0: `lr`
  LearningRateSchedule schedule = LearningRateSchedule::kCosine;  ///< after the warm-up
  std::int64_t warmup_steps = 0;                                  ///< linear warm-up of the learning rate
  double weight_decay = 0.2;      ///< AdamW's, not on tensors of fewer than two dimensions (open_clip)
  double beta1 = 0.9;             ///< AdamW's (open_clip, ViT)
  double beta2 = 0.98;            ///< AdamW's (open_clip, ViT)
  double epsilon = 1e-6;          ///< AdamW's (open_clip, ViT)
  double grad_clip_norm = 0;      ///< largest norm of all gradients together; 0: no clipping
  Tune tune = Tune::kLayerNorm;   ///< which of CLIP's parameters train
  LoraOptions lora;               ///< low-rank updates, where `tune` is lora
  bool tune_temperature = false;  ///< whether `logit_scale` (and SigLIP's `logit_bias`) trains too
  Precision precision = Precision::kFp32;  ///< of the networks
  std::int64_t checkpoint_every = 100;     ///< steps between checkpoints; 0: before evaluations
                                           ///< and the last
  double checkpoint_minutes = 0;           ///< a checkpoint also after so many minutes without one; 0: never
  std::int64_t keep_checkpoints = 2;       ///< newest ones that are kept, beside the best one
  std::int64_t evaluate_every = 0;         ///< steps between evaluations (`evaluate`); 0: only at the end
  std::int64_t diagnose_every =
      10;  ///< steps between measurements of the matched-versus-shuffled gap; 0: never
};
void visit_options(OptionVisitor& visitor, TrainOptions& options);

/// A whole configuration file.
struct TrainConfig {
  std::string clip;       ///< bundle folder of the student
  std::string teacher;    ///< bundle folder of the teacher; not needed where its losses' weights are 0
  std::int64_t seed = 0;  ///< of every draw of the run
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

/// Whether SigLIP's `logit_bias` is trained.
bool trains_logit_bias(const TrainConfig& config);

/// Whether the run needs the teacher. L_rank does not: its targets were computed before.
bool uses_teacher(const TrainConfig& config);

}  // namespace sdsclip

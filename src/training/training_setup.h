#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "sdsclip/data/loader.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/losses/linear_map.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/lora.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/scoring/rank_targets.h"
#include "sdsclip/training/config.h"
#include "sdsclip/training/step.h"

namespace sdsclip {

/// The models, maps and data of a training run, as its configuration names them.
struct TrainingSetup {
  /// Throws like `train`.
  TrainingSetup(const TrainConfig& config, const Placement& placement);

  [[nodiscard]] StepModels models();

  Bundle clip_bundle;
  ClipModel clip;
  Tokenizer clip_tokenizer;
  std::vector<NamedTensor> trained;  ///< tensors that the optimizer changes and checkpoints store
  std::vector<NamedTensor> tuned;    ///< tensors of `tuned.safetensors`: low-rank updates merged
  std::vector<LoraAdapter> lora;     ///< empty unless `train.tune` is lora
  std::optional<DiffusionTeacher> teacher;
  std::optional<Tokenizer> teacher_tokenizer;
  std::optional<LatentMap> latent_map;   ///< for L_SDS
  std::optional<LinearMap> feature_map;  ///< for the feature loss
  std::optional<RankTargets> targets;    ///< for L_rank
  std::unique_ptr<CaptionDataset> dataset;
};

LoaderOptions loader_options(const TrainConfig& config, const TrainingSetup& setup);

}  // namespace sdsclip

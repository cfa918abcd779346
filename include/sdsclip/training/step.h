#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>

#include "sdsclip/data/preprocess.h"
#include "sdsclip/losses/sds.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

/// One step's data, on the CPU.
struct StepBatch {
  std::span<const std::uint8_t> pixels;  ///< B squares of interleaved RGB bytes (`resize_and_crop`)
  at::Tensor text_ids;                   ///< i64[B, L], CLIP's
  at::Tensor teacher_ids;                ///< i64[B, L'], the teacher's; undefined without a teacher
};

/// What a step works on. Nothing here is owned.
struct StepModels {
  const ClipModel* clip = nullptr;
  DiffusionTeacher* teacher = nullptr;    ///< null: without L_SDS
  const LatentMap* latent_map = nullptr;  ///< null: without L_SDS
};

struct StepOptions {
  double contrastive_weight = 1.0;    ///< of L_CLIP
  SdsOptions sds;                     ///< L_SDS
  std::int64_t micro_batch_clip = 0;  ///< pairs through CLIP at a time; 0: the whole batch
  std::int64_t micro_batch_unet = 0;  ///< latents through the UNet at a time; 0: the whole batch
  std::uint64_t seed = 0;             ///< of the draws
  std::int64_t step = 0;              ///< the draws are a function of it
  bool warm_up_map = false;           ///< train h_w alone, on L_SDS alone (`sds.warmup_steps`)
  bool diagnose = false;              ///< also measure L_SDS with every caption exchanged for another
};

/// What a step measured. Losses are unweighted but `total`.
struct StepResult {
  double total = 0;                      ///< weighted sum
  std::optional<double> contrastive;     ///< L_CLIP
  std::optional<double> sds;             ///< L_SDS
  std::optional<double> sds_shuffled;    ///< L_SDS of each image with its neighbour's caption, same t and eps
  double gradient_norm_contrastive = 0;  ///< of the weighted term with respect to the image embeddings
  double gradient_norm_sds = 0;          ///< likewise
  double gradient_cosine = 0;            ///< between the two; 0 where one of them is 0
  double z_mean = 0;                     ///< of h_w's output over batch and latent
  double z_std = 0;                      ///< likewise
};

/// The embedding-gradient cache: one step's losses, and their gradients added to `.grad` of every parameter
/// of CLIP and of `latent_map` that requires one.
///
/// Every loss touches CLIP only through its embeddings, so the batch is embedded in micro-batches without a
/// graph (a), the losses give their gradients with respect to the embeddings (b, c), the UNet going
/// micro-batch by micro-batch, and CLIP is run once more in micro-batches to carry those gradients on to its
/// parameters (d). If the batch fits one micro-batch, (a) keeps its graph and there is no second forward.
/// Memory depends on the micro-batches alone. Exact for towers that are deterministic and treat each sample
/// on its own (GradCache, Gao et al. 2021).
StepResult accumulate_gradients(const StepModels& models, const StepBatch& batch, const StepOptions& options);

}  // namespace sdsclip

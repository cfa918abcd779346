#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "sdsclip/data/pixel_store.h"
#include "sdsclip/losses/contrastive.h"
#include "sdsclip/losses/feature.h"
#include "sdsclip/losses/ranking.h"
#include "sdsclip/losses/sds.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

/// One step's data, on the CPU.
struct StepBatch {
  const PixelStore* pixels = nullptr;          ///< B images; not owned
  const PixelStore* teacher_pixels = nullptr;  ///< likewise, as the teacher wants them; for `feature` only
  at::Tensor text_ids;              ///< i64[B + K + M, L], CLIP's: the images' captions, then K hard
                                    ///< negatives, then M further candidates that `rank` speaks of
  std::int64_t hard_negatives = 0;  ///< K
  std::optional<RankBatch> rank;    ///< the teacher's targets for L_rank; its texts are rows of `text_ids`
  at::Tensor teacher_ids;           ///< i64[B, L'], the teacher's; undefined without a teacher
};

/// What a step works on. Nothing here is owned.
struct StepModels {
  const ClipModel* clip = nullptr;
  DiffusionTeacher* teacher = nullptr;     ///< null: without L_SDS and the feature loss
  const LatentMap* latent_map = nullptr;   ///< null: without L_SDS
  const LinearMap* feature_map = nullptr;  ///< null: without the feature loss
};

struct StepOptions {
  double contrastive_weight = 1.0;                               ///< of L_CLIP
  ContrastiveKind contrastive_kind = ContrastiveKind::kSoftmax;  ///< which loss it is
  SdsOptions sds;                                                ///< L_SDS
  FeatureOptions feature;                                        ///< the feature loss
  double rank_weight = 0;                                        ///< of L_rank
  double rank_temperature = 0.01;                                ///< of its soft targets
  std::int64_t micro_batch_clip = 0;  ///< pairs through CLIP at a time; 0: the whole batch
  std::int64_t micro_batch_unet = 0;  ///< latents through the UNet at a time; 0: the whole batch
  std::uint64_t seed = 0;             ///< of the draws
  std::int64_t step = 0;              ///< the draws are a function of it
  bool warm_up_map = false;           ///< train h_w alone, on L_SDS alone (`sds.warmup_steps`)
  bool diagnose = false;              ///< also measure L_SDS with every caption exchanged for another
  double loss_scale = 1;              ///< all gradients come out so many times too large (float16)
};

/// One term of L_total.
struct StepTerm {
  double loss = 0;           ///< unweighted
  double gradient_norm = 0;  ///< of the weighted term, with respect to the image embeddings
  double cosine = 0;         ///< between that gradient and L_CLIP's; 0 where one of them is 0
};

/// What a step measured; terms that are not part of L_total are left out.
struct StepResult {
  double total = 0;                     ///< L_total, the weighted sum
  std::optional<StepTerm> contrastive;  ///< L_CLIP
  std::optional<StepTerm> sds;          ///< L_SDS
  std::optional<StepTerm> feature;      ///< the feature loss of eq. 6
  std::optional<StepTerm> rank;         ///< L_rank; left out where no image of the batch has targets
  std::optional<double> sds_shuffled;   ///< L_SDS of each image with its neighbour's caption, same t and eps
  double z_mean = 0;                    ///< of h_w's output over batch and latent
  double z_std = 0;                     ///< likewise
};

/// The embedding-gradient cache: one step's losses, and their gradients added to `.grad` of every parameter
/// of CLIP and of `latent_map` that requires one.
///
/// Every loss touches CLIP only through its embeddings, so the batch is embedded in micro-batches without a
/// graph (a), the losses give their gradients with respect to the embeddings (b, c), the UNet going
/// micro-batch by micro-batch, and CLIP is run once more in micro-batches to carry those gradients on to its
/// parameters (d). A tower whose rows fit one micro-batch keeps its graph in (a) and has no second forward.
/// Memory depends on the micro-batches alone. Exact for towers that are deterministic and treat each sample
/// on its own (GradCache, Gao et al. 2021).
StepResult accumulate_gradients(const StepModels& models, const StepBatch& batch, const StepOptions& options);

}  // namespace sdsclip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sdsclip/data/pixel_store.h"
#include "sdsclip/losses/contrastive.h"
#include "sdsclip/losses/feature.h"
#include "sdsclip/losses/ranking.h"
#include "sdsclip/losses/sds.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

/// One step's data on the CPU.
struct StepBatch {
  const PixelStore* pixels = nullptr;          ///< B images; not owned
  const PixelStore* teacher_pixels = nullptr;  ///< B images preprocessed for the teacher; only for `feature`
  at::Tensor text_ids;              ///< i64[B + K + M, L] for CLIP: the images' captions, then K hard
                                    ///< negatives, then M candidates of `rank`
  std::int64_t hard_negatives = 0;  ///< K
  std::optional<RankBatch> rank;    ///< the teacher's targets for L_rank; its texts are rows of `text_ids`
  at::Tensor teacher_ids;           ///< i64[B, L'] for the teacher; undefined without a teacher
};

/// The models of a step, not owned.
struct StepModels {
  const ClipModel* clip = nullptr;
  DiffusionTeacher* teacher = nullptr;     ///< null: without L_SDS and the feature loss
  const LatentMap* latent_map = nullptr;   ///< null: without L_SDS
  const LinearMap* feature_map = nullptr;  ///< null: without the feature loss
};

struct StepOptions {
  double contrastive_weight = 1.0;                               ///< weight of L_CLIP
  ContrastiveKind contrastive_kind = ContrastiveKind::kSoftmax;  ///< form of L_CLIP
  SdsOptions sds;                                                ///< L_SDS
  FeatureOptions feature;                                        ///< the feature loss
  double rank_weight = 0;                                        ///< weight of L_rank
  double rank_temperature = 0.01;                                ///< temperature of its soft targets
  std::int64_t micro_batch_clip = 0;  ///< pairs through CLIP at a time; 0: the whole batch
  std::int64_t micro_batch_unet = 0;  ///< latents through the UNet at a time; 0: the whole batch
  std::uint64_t seed = 0;             ///< seed of the draws
  std::int64_t step = 0;              ///< step number, which is part of the draws' key
  bool warm_up_map = false;           ///< train h_w alone, on L_SDS alone (`sds.warmup_steps`)
  bool diagnose = false;              ///< also measure L_SDS with shuffled captions
  at::Tensor loss_scale;  ///< fp16 loss-scale factor f32[]; gradients must be divided by it; undefined: 1
};

/// One term of L_total.
struct StepTerm {
  double loss = 0;           ///< unweighted
  double gradient_norm = 0;  ///< norm of the weighted term's gradient with respect to the image embeddings
  double cosine = 0;         ///< cosine between that gradient and L_CLIP's; 0 if either is 0
};

/// A step's measurements. Terms that are not part of L_total are absent.
struct StepResult {
  double total = 0;                     ///< L_total, the weighted sum
  std::optional<StepTerm> contrastive;  ///< L_CLIP
  std::optional<StepTerm> sds;          ///< L_SDS
  std::optional<StepTerm> feature;      ///< the feature loss of eq. 6
  std::optional<StepTerm> rank;         ///< L_rank; absent if no image of the batch has targets
  std::optional<double> sds_shuffled;   ///< L_SDS with the neighbour's caption and the same t and eps
  double z_mean = 0;                    ///< mean of h_w's output over batch and latent
  double z_std = 0;                     ///< its standard deviation
};

/// Float32 scalars on the device, and the numbers of the host to which they are added once they have been
/// read.
class DeviceNumbers {
 public:
  void add(const at::Tensor& scalar, double& sum, double factor = 1);

  /// f32[size()]: the scalars' present values.
  [[nodiscard]] at::Tensor stack() const;
  [[nodiscard]] std::size_t size() const { return scalars_.size(); }

  /// Adds the values of `stack()` to the host's numbers.
  void assign(std::span<const double> values) const;

 private:
  std::vector<at::Tensor> scalars_;
  std::vector<std::pair<double*, double>> sums_;
};

/// A step's measurements while they are on the device.
struct StepNumbers {
  StepResult result;       ///< incomplete until `finish`
  DeviceNumbers losses;    ///< terms of L_total, which must be finite
  DeviceNumbers measured;  ///< all others

  /// Completes the result after both `assign`. `loss_scale` is the factor that the step used.
  void finish(const StepOptions& options, double loss_scale);
};

/// One step's losses. Adds their gradients to `.grad` of every parameter of CLIP and of the maps that
/// requires one. It uses the embedding-gradient cache (GradCache, Gao et al. 2021), because every loss sees
/// CLIP only through its embeddings:
///
/// (a) embeds the batch in micro-batches without a graph;
/// (b, c) takes the losses' gradients with respect to the embeddings, one micro-batch of latents at a time
/// for the UNet;
/// (d) runs CLIP again in micro-batches to pass these gradients on to its parameters.
///
/// A tower whose rows fit one micro-batch keeps its graph in (a) and needs no second forward pass. Memory
/// depends on the micro-batches alone. The result is exact if the towers are deterministic and treat each
/// sample independently.
///
/// Nothing waits for the device: the measurements stay there.
std::unique_ptr<StepNumbers> queue_gradients(const StepModels& models, const StepBatch& batch,
                                             const StepOptions& options);

/// The same, and waits for the measurements.
StepResult accumulate_gradients(const StepModels& models, const StepBatch& batch, const StepOptions& options);

}  // namespace sdsclip

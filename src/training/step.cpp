#include "sdsclip/training/step.h"

#include <ATen/ATen.h>

#include "diffusion_terms.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/text_length.h"
#include "tower_pass.h"

namespace sdsclip {
namespace {

EncodeRows image_tower(const ClipModel& clip, const StepBatch& batch) {
  return [&clip, &batch, preprocess = preprocess_options(clip.bundle().image)](std::int64_t first,
                                                                               std::int64_t count) {
    return clip.encode_image(pixel_tensor(batch.pixels->read(first, count), preprocess));
  };
}

EncodeRows text_tower(const ClipModel& clip, const StepBatch& batch) {
  return [&clip, &batch](std::int64_t first, std::int64_t count) {
    return clip.encode_text(cut_padding(batch.text_ids.narrow(0, first, count), clip.bundle().tokenizer));
  };
}

/// `L_CLIP` of either kind.
at::Tensor clip_loss(const ClipModel& clip, ContrastiveKind kind, const at::Tensor& images,
                     const at::Tensor& texts) {
  if (kind == ContrastiveKind::kSoftmax) return contrastive_loss(images, texts, clip.logit_scale());
  return sigmoid_contrastive_loss(images, texts, clip.logit_scale(), clip.logit_bias());
}

at::Tensor leaf_of(const at::Tensor& embeddings) {
  return embeddings.clone().set_requires_grad(true);
}

at::Tensor gradient_or_zero(const at::Tensor& leaf) {
  return leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf);
}

/// The losses' side of the cache: the embeddings as leaf tensors, and each term's gradient on the images'.
/// Each term has its own leaf, so that gradients can be compared before they are added.
class TermGradients {
 public:
  /// Without L_CLIP, the other terms are compared with zero.
  TermGradients(const at::Tensor& images, double loss_scale, bool contrasts)
      : images_(images), loss_scale_(loss_scale), sum_(at::zeros_like(images)) {
    if (!contrasts) contrastive_ = at::zeros_like(images);
  }

  /// Runs one term on its own leaf: `add(leaf)` returns the unweighted loss and adds gradients.
  template <typename Add>
  StepTerm run(Add&& add) {
    const at::Tensor leaf = leaf_of(images_);
    StepTerm term;
    term.loss = add(leaf);
    const at::Tensor gradient = gradient_or_zero(leaf);
    sum_ += gradient;
    const double norm = gradient.norm().item<double>();
    term.gradient_norm = norm / loss_scale_;
    if (!contrastive_.defined()) contrastive_ = gradient;  // L_CLIP is the first term
    const double norms = norm * contrastive_.norm().item<double>();
    if (norms > 0) term.cosine = (gradient * contrastive_).sum().item<double>() / norms;
    return term;
  }

  [[nodiscard]] const at::Tensor& sum() const { return sum_; }

 private:
  at::Tensor images_;
  double loss_scale_;
  at::Tensor sum_;
  at::Tensor contrastive_;
};

}  // namespace

// Over 60 lines: each term adds to the gradients of the leaves that the lines before it made, in this order.
StepResult accumulate_gradients(const StepModels& models, const StepBatch& batch,
                                const StepOptions& options) {
  const ClipModel& clip = *models.clip;
  const std::int64_t images = batch.pixels->count();
  const bool tunes_clip = !options.warm_up_map;
  const bool ranks = batch.rank.has_value() && tunes_clip;
  const bool contrasts = options.contrastive_weight > 0 && tunes_clip;
  // Without any term, parameters must have no gradient. A gradient of zero would still apply weight decay.
  if (!ranks && !contrasts && models.latent_map == nullptr && models.feature_map == nullptr) return {};
  const TowerPass image_pass(image_tower(clip, batch), images, options.micro_batch_clip, tunes_clip);
  std::optional<TowerPass> text_pass;
  at::Tensor text_leaf;
  if (contrasts || ranks) {  // L_SDS and the feature loss need the images only
    text_pass.emplace(text_tower(clip, batch), batch.text_ids.size(0), options.micro_batch_clip, tunes_clip);
    text_leaf = leaf_of(text_pass->embeddings());
  }

  StepResult result;
  TermGradients terms(image_pass.embeddings(), options.loss_scale, contrasts);
  const auto add_term = [&](std::optional<StepTerm>& term, double weight, const auto& loss_of) {
    term = terms.run(loss_of);
    result.total += weight * term->loss;
  };
  // The temperature is the parameter itself, so its gradient is where the optimizer looks for it.
  const auto backward = [&](const at::Tensor& loss, double weight) {
    (loss * (weight * options.loss_scale)).backward();
    return loss.item<double>();
  };
  if (contrasts) {
    add_term(result.contrastive, options.contrastive_weight, [&](const at::Tensor& image_leaf) {
      const at::Tensor columns = text_leaf.narrow(0, 0, images + batch.hard_negatives);
      return backward(clip_loss(clip, options.contrastive_kind, image_leaf, columns),
                      options.contrastive_weight);
    });
  }
  if (ranks) {
    add_term(result.rank, options.rank_weight, [&](const at::Tensor& image_leaf) {
      return backward(
          ranking_loss(image_leaf, text_leaf, clip.logit_scale(), *batch.rank, options.rank_temperature),
          options.rank_weight);
    });
  }
  if (models.latent_map != nullptr) {
    add_term(result.sds, options.sds.lambda, [&](const at::Tensor& image_leaf) {
      const SdsTerm sds = add_sds(models, batch, options, image_leaf);
      if (options.diagnose) result.sds_shuffled = sds.shuffled;
      result.z_mean = sds.z_mean;
      result.z_std = sds.z_std;
      return sds.loss;
    });
  }
  if (models.feature_map != nullptr) {
    add_term(result.feature, options.feature.weight,
             [&](const at::Tensor& image_leaf) { return add_feature(models, batch, options, image_leaf); });
  }
  if (!tunes_clip) return result;
  image_pass.backward(terms.sum());
  if (text_pass) text_pass->backward(gradient_or_zero(text_leaf));
  return result;
}

}  // namespace sdsclip

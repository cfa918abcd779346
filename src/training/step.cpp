#include "sdsclip/training/step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "diffusion_terms.h"
#include "sdsclip/models/host_copy.h"
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
  return embeddings.detach().set_requires_grad(true);
}

at::Tensor gradient_or_zero(const at::Tensor& leaf) {
  return leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf);
}

/// The losses' side of the cache: the embeddings as leaf tensors, and each term's gradient on the images'.
/// Each term has its own leaf, so that gradients can be compared before they are added.
class TermGradients {
 public:
  TermGradients(const at::Tensor& images, StepNumbers& numbers) : images_(images), numbers_(numbers) {}

  /// Runs one term on its own leaf: `add(leaf)` adds its loss to the numbers, and gradients. L_CLIP comes
  /// first, if at all.
  template <typename Add>
  void run(std::optional<StepTerm>& result, bool is_contrastive, Add&& add) {
    StepTerm& term = result.emplace();
    const at::Tensor leaf = leaf_of(images_);
    add(leaf);
    const at::Tensor gradient = gradient_or_zero(leaf);
    numbers_.measured.add(at::linalg_vector_norm(gradient), term.gradient_norm);
    if (is_contrastive) contrastive_ = gradient;
    if (contrastive_.defined()) {
      numbers_.measured.add(at::dot(gradient.flatten(), contrastive_.flatten()), term.cosine);
    }
    sum_ = sum_.defined() ? sum_ + gradient : gradient;
  }

  [[nodiscard]] const at::Tensor& sum() const { return sum_; }

 private:
  at::Tensor images_;
  StepNumbers& numbers_;
  at::Tensor sum_;
  at::Tensor contrastive_;
};

}  // namespace

void DeviceNumbers::add(const at::Tensor& scalar, double& sum, double factor) {
  scalars_.push_back(scalar.detach());
  sums_.emplace_back(&sum, factor);
}

at::Tensor DeviceNumbers::stack() const {
  return at::stack(scalars_);
}

void DeviceNumbers::assign(std::span<const double> values) const {
  for (std::size_t i = 0; i < sums_.size(); ++i) *sums_[i].first += sums_[i].second * values[i];
}

void StepNumbers::finish(const StepOptions& options, double loss_scale) {
  const double reference = result.contrastive ? result.contrastive->gradient_norm : 0;
  const auto finish_term = [&](std::optional<StepTerm>& term, double weight) {
    if (!term) return;
    result.total += weight * term->loss;
    const double norms = term->gradient_norm * reference;
    term->cosine = norms > 0 ? term->cosine / norms : 0;
  };
  finish_term(result.contrastive, options.contrastive_weight);
  finish_term(result.rank, options.rank_weight);
  finish_term(result.sds, options.sds.lambda);
  finish_term(result.feature, options.feature.weight);
  for (std::optional<StepTerm>* term : {&result.contrastive, &result.rank, &result.sds, &result.feature}) {
    if (*term) (*term)->gradient_norm /= loss_scale;
  }
  result.z_std = std::sqrt(std::max(0.0, result.z_std - result.z_mean * result.z_mean));
}

// Over 60 lines: each term adds to the gradients of the leaves that the lines before it made, in this order.
std::unique_ptr<StepNumbers> queue_gradients(const StepModels& models, const StepBatch& batch,
                                             const StepOptions& options) {
  const ClipModel& clip = *models.clip;
  const std::int64_t images = batch.pixels->count();
  const bool tunes_clip = !options.warm_up_map;
  const bool ranks = batch.rank.has_value() && tunes_clip;
  const bool contrasts = options.contrastive_weight > 0 && tunes_clip;
  std::unique_ptr<StepNumbers> numbers = std::make_unique<StepNumbers>();
  // Without any term, parameters must have no gradient. A gradient of zero would still apply weight decay.
  if (!ranks && !contrasts && models.latent_map == nullptr && models.feature_map == nullptr) return numbers;
  const TowerPass image_pass(image_tower(clip, batch), images, options.micro_batch_clip, tunes_clip);
  std::optional<TowerPass> text_pass;
  at::Tensor text_leaf;
  if (contrasts || ranks) {  // L_SDS and the feature loss need the images only
    text_pass.emplace(text_tower(clip, batch), batch.text_ids.size(0), options.micro_batch_clip, tunes_clip);
    text_leaf = leaf_of(text_pass->embeddings());
  }

  StepResult& result = numbers->result;
  TermGradients terms(image_pass.embeddings(), *numbers);
  // The temperature is the parameter itself, so its gradient is where the optimizer looks for it.
  const auto backward = [&](const at::Tensor& loss, double weight, StepTerm& term) {
    loss.backward(upstream(weight, loss, options));
    numbers->losses.add(loss, term.loss);
  };
  if (contrasts) {
    terms.run(result.contrastive, /*is_contrastive=*/true, [&](const at::Tensor& image_leaf) {
      const at::Tensor columns = text_leaf.narrow(0, 0, images + batch.hard_negatives);
      backward(clip_loss(clip, options.contrastive_kind, image_leaf, columns), options.contrastive_weight,
               *result.contrastive);
    });
  }
  if (ranks) {
    terms.run(result.rank, /*is_contrastive=*/false, [&](const at::Tensor& image_leaf) {
      backward(ranking_loss(image_leaf, text_leaf, clip.logit_scale(), *batch.rank, options.rank_temperature),
               options.rank_weight, *result.rank);
    });
  }
  if (models.latent_map != nullptr) {
    terms.run(result.sds, /*is_contrastive=*/false,
              [&](const at::Tensor& image_leaf) { add_sds(models, batch, options, image_leaf, *numbers); });
  }
  if (models.feature_map != nullptr) {
    terms.run(result.feature, /*is_contrastive=*/false, [&](const at::Tensor& image_leaf) {
      add_feature(models, batch, options, image_leaf, *numbers);
    });
  }
  if (!tunes_clip) return numbers;
  image_pass.backward(terms.sum());
  if (text_pass) text_pass->backward(gradient_or_zero(text_leaf));
  return numbers;
}

StepResult accumulate_gradients(const StepModels& models, const StepBatch& batch,
                                const StepOptions& options) {
  const std::unique_ptr<StepNumbers> numbers = queue_gradients(models, batch, options);
  for (const DeviceNumbers* part : {&numbers->losses, &numbers->measured}) {
    if (part->size() > 0) part->assign(HostCopy(part->stack()).read());
  }
  numbers->finish(options, options.loss_scale.defined() ? options.loss_scale.item<double>() : 1.0);
  return numbers->result;
}

}  // namespace sdsclip

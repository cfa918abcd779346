#include "sdsclip/training/step.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "sdsclip/losses/contrastive.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {
namespace {

/// Calls `work(first, count)` for each micro-batch of `total` items; `size` 0 is the whole.
template <typename Work>
void for_each_micro_batch(std::int64_t total, std::int64_t size, Work&& work) {
  const std::int64_t micro = size > 0 ? std::min(size, total) : total;
  for (std::int64_t first = 0; first < total; first += micro) work(first, std::min(micro, total - first));
}

/// The two towers over a batch, one micro-batch at a time.
class Towers {
 public:
  Towers(const ClipModel& clip, const StepBatch& batch)
      : clip_(clip),
        batch_(batch),
        preprocess_(preprocess_options(clip.bundle().image)),
        device_(clip.placement().device) {}

  [[nodiscard]] at::Tensor images(std::int64_t first, std::int64_t count) const {
    const std::size_t elements = preprocess_.element_count();
    const std::span<const std::uint8_t> pixels = batch_.pixels.subspan(
        static_cast<std::size_t>(first) * elements, static_cast<std::size_t>(count) * elements);
    return clip_.encode_image(pixel_tensor(pixels, preprocess_).to(device_));
  }

  [[nodiscard]] at::Tensor texts(std::int64_t first, std::int64_t count) const {
    return clip_.encode_text(batch_.text_ids.narrow(0, first, count).to(device_));
  }

 private:
  const ClipModel& clip_;
  const StepBatch& batch_;
  PreprocessOptions preprocess_;
  c10::Device device_;
};

struct Embeddings {
  at::Tensor images;  // [B, D]
  at::Tensor texts;   // [B, D]
};

/// (a): the whole batch's embeddings, with their graph if it is one micro-batch.
Embeddings embed(const Towers& towers, std::int64_t batch, std::int64_t micro_batch, bool keep_graph) {
  const at::AutoGradMode record(keep_graph);
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> texts;
  for_each_micro_batch(batch, micro_batch, [&](std::int64_t first, std::int64_t count) {
    images.push_back(towers.images(first, count));
    texts.push_back(towers.texts(first, count));
  });
  if (images.size() == 1) return {images[0], texts[0]};
  return {at::cat(images), at::cat(texts)};
}

/// (d): carries gradients of the embeddings on to a tower's parameters; a tower that does not train has no
/// graph.
void backward_from(const at::Tensor& embeddings, const at::Tensor& gradient) {
  if (embeddings.requires_grad()) embeddings.backward(gradient);
}

/// (b): L_CLIP and its gradients, added to those of the leaves.
double add_contrastive(const at::Tensor& image_leaf, const at::Tensor& text_leaf, const ClipModel& clip,
                       double weight) {
  // The parameter itself: where the temperature trains, its gradient lands where the optimizer looks for it.
  const at::Tensor loss = contrastive_loss(image_leaf, text_leaf, clip.logit_scale());
  (loss * weight).backward();
  return loss.item<double>();
}

struct SdsSums {
  double matched = 0;
  double shuffled = 0;
  double z = 0;
  double z_squared = 0;
  std::int64_t z_count = 0;
};

/// (c): L_SDS over the batch, a UNet micro-batch at a time. Gradients are added to `image_leaf` and to the
/// map.
///
/// An image's context is encoded once, for all its samples: blocks of whole images, cut into UNet
/// micro-batches.
SdsSums add_sds(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                const at::Tensor& image_leaf) {
  DiffusionTeacher& teacher = *models.teacher;
  const SdsOptions& sds = options.sds;
  const c10::Device device = teacher.placement().device;
  const std::int64_t images = image_leaf.size(0);
  const std::int64_t micro = options.micro_batch_unet > 0 ? options.micro_batch_unet : images * sds.samples;
  const double share = 1.0 / static_cast<double>(images * sds.samples);

  SdsSums sums;
  for_each_micro_batch(
      images, std::max<std::int64_t>(1, micro / sds.samples),
      [&](std::int64_t first_image, std::int64_t image_count) {
        const at::Tensor rows = at::arange(first_image, first_image + image_count, at::kLong);
        const auto contexts_of = [&](const at::Tensor& which) {
          return teacher.encode_text(batch.teacher_ids.index_select(0, which).to(device));
        };
        const at::Tensor contexts = contexts_of(rows);
        const at::Tensor other_contexts =
            options.diagnose ? contexts_of((rows + 1).remainder(images)) : at::Tensor();

        for_each_micro_batch(
            image_count * sds.samples, micro, [&](std::int64_t first_item, std::int64_t count) {
              const at::Tensor items = at::arange(first_item, first_item + count, at::kLong).to(device);
              const at::Tensor image_of_item = items.floor_divide(sds.samples);  // within the block
              const at::Tensor embeds =
                  image_leaf.narrow(0, first_image, image_count).index_select(0, image_of_item);
              const at::Tensor z = map_to_latent(*models.latent_map, embeds, sds, teacher.bundle().latent);
              const SdsDraws draws = draw_sds(sds, teacher.bundle(), options.seed, options.step, images,
                                              first_image * sds.samples + first_item, count, device);
              const at::Tensor loss =
                  sds_loss_sum(teacher, sds, z, contexts.index_select(0, image_of_item), draws) * share;
              (loss * sds.lambda).backward();
              sums.matched += loss.item<double>();

              const at::NoGradGuard no_grad;
              sums.z += z.sum(at::kDouble).item<double>();
              sums.z_squared += z.to(at::kDouble).pow(2).sum().item<double>();
              sums.z_count += z.numel();
              if (options.diagnose) {
                const at::Tensor shuffled =
                    sds_loss_sum(teacher, sds, z, other_contexts.index_select(0, image_of_item), draws) *
                    share;
                sums.shuffled += shuffled.item<double>();
              }
            });
      });
  return sums;
}

void record_sds(const SdsSums& sums, const StepOptions& options, StepResult& result) {
  result.sds = sums.matched;
  if (options.diagnose) result.sds_shuffled = sums.shuffled;
  const double count = static_cast<double>(sums.z_count);
  result.z_mean = sums.z / count;
  result.z_std = std::sqrt(std::max(0.0, sums.z_squared / count - result.z_mean * result.z_mean));
  result.total += options.sds.lambda * sums.matched;
}

at::Tensor leaf_of(const at::Tensor& tensor) {
  return tensor.detach().clone().set_requires_grad(true);
}

at::Tensor gradient_or_zero(const at::Tensor& leaf) {
  return leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf);
}

}  // namespace

StepResult accumulate_gradients(const StepModels& models, const StepBatch& batch,
                                const StepOptions& options) {
  const Towers towers(*models.clip, batch);
  const std::int64_t size = batch.text_ids.size(0);
  const bool one_micro_batch = options.micro_batch_clip <= 0 || options.micro_batch_clip >= size;
  const bool keep_graph = one_micro_batch && !options.warm_up_map;
  const Embeddings embeddings = embed(towers, size, options.micro_batch_clip, keep_graph);

  StepResult result;
  const at::Tensor text_leaf = leaf_of(embeddings.texts);
  // One leaf a loss, so that their gradients can be compared before they are added.
  const at::Tensor contrastive_leaf = leaf_of(embeddings.images);
  const at::Tensor sds_leaf = leaf_of(embeddings.images);
  if (options.contrastive_weight > 0 && !options.warm_up_map) {
    result.contrastive =
        add_contrastive(contrastive_leaf, text_leaf, *models.clip, options.contrastive_weight);
    result.total += options.contrastive_weight * *result.contrastive;
  }
  if (models.teacher != nullptr) record_sds(add_sds(models, batch, options, sds_leaf), options, result);

  const at::Tensor from_contrastive = gradient_or_zero(contrastive_leaf);
  const at::Tensor from_sds = gradient_or_zero(sds_leaf);
  result.gradient_norm_contrastive = from_contrastive.norm().item<double>();
  result.gradient_norm_sds = from_sds.norm().item<double>();
  const double norms = result.gradient_norm_contrastive * result.gradient_norm_sds;
  if (norms > 0) result.gradient_cosine = (from_contrastive * from_sds).sum().item<double>() / norms;
  if (options.warm_up_map) return result;

  const at::Tensor image_gradient = from_contrastive + from_sds;
  const at::Tensor text_gradient = gradient_or_zero(text_leaf);
  if (keep_graph) {
    backward_from(embeddings.images, image_gradient);
    backward_from(embeddings.texts, text_gradient);
    return result;
  }
  for_each_micro_batch(size, options.micro_batch_clip, [&](std::int64_t first, std::int64_t count) {
    backward_from(towers.images(first, count), image_gradient.narrow(0, first, count));
    backward_from(towers.texts(first, count), text_gradient.narrow(0, first, count));
  });
  return result;
}

}  // namespace sdsclip

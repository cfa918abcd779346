#include "diffusion_terms.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "micro_batches.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {
namespace {

/// Sums over the UNet micro-batches.
struct SdsSums {
  double matched = 0;
  double shuffled = 0;
  double z = 0;
  double z_squared = 0;
  std::int64_t z_count = 0;
};

SdsTerm term_of(const SdsSums& sums) {
  const double count = static_cast<double>(sums.z_count);
  const double mean = sums.z / count;
  return {.loss = sums.matched,
          .shuffled = sums.shuffled,
          .z_mean = mean,
          .z_std = std::sqrt(std::max(0.0, sums.z_squared / count - mean * mean))};
}

/// The contexts of the captions of `images`, which are rows of the batch.
at::Tensor contexts_of(DiffusionTeacher& teacher, const StepBatch& batch, const at::Tensor& images) {
  return teacher.encode_text(batch.teacher_ids.index_select(0, images));
}

}  // namespace

SdsTerm add_sds(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                const at::Tensor& image_leaf) {
  DiffusionTeacher& teacher = *models.teacher;
  const SdsOptions& sds = options.sds;
  const c10::Device device = teacher.placement().device;
  const std::int64_t images = image_leaf.size(0);
  const std::int64_t micro = options.micro_batch_unet > 0 ? options.micro_batch_unet : images * sds.samples;
  const double share = 1.0 / static_cast<double>(images * sds.samples);
  SdsSums sums;

  // Blocks of whole images are cut into UNet micro-batches, so that an image's context is encoded once for
  // all its samples.
  const auto add_block = [&](std::int64_t first_image, std::int64_t image_count) {
    const at::Tensor rows = at::arange(first_image, first_image + image_count, at::kLong);
    const at::Tensor contexts = contexts_of(teacher, batch, rows);
    const at::Tensor other_contexts =
        options.diagnose ? contexts_of(teacher, batch, (rows + 1).remainder(images)) : at::Tensor();

    const auto add_items = [&](std::int64_t first_item, std::int64_t count) {
      const at::Tensor items = at::arange(first_item, first_item + count, at::kLong).to(device);
      const at::Tensor image_of_item = items.floor_divide(sds.samples);  // within the block
      const at::Tensor embeds = image_leaf.narrow(0, first_image, image_count).index_select(0, image_of_item);
      const at::Tensor z = map_to_latent(*models.latent_map, embeds, sds, teacher.bundle().latent);
      const SdsDraws draws = draw_sds(sds, teacher.bundle(), options.seed, options.step, images,
                                      first_image * sds.samples + first_item, count, device);
      const auto loss_with = [&](const at::Tensor& block_contexts) {
        return sds_loss_sum(teacher, sds, z, block_contexts.index_select(0, image_of_item), draws) * share;
      };
      const at::Tensor loss = loss_with(contexts);
      (loss * (sds.lambda * options.loss_scale)).backward();
      sums.matched += loss.item<double>();

      const at::NoGradGuard no_grad;
      sums.z += z.sum(at::kDouble).item<double>();
      sums.z_squared += z.to(at::kDouble).pow(2).sum().item<double>();
      sums.z_count += z.numel();
      if (options.diagnose) sums.shuffled += loss_with(other_contexts).item<double>();
    };
    for_each_micro_batch(image_count * sds.samples, micro, add_items);
  };
  for_each_micro_batch(images, std::max<std::int64_t>(1, micro / sds.samples), add_block);
  return term_of(sums);
}

double add_feature(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                   const at::Tensor& image_leaf) {
  DiffusionTeacher& teacher = *models.teacher;
  const FeatureOptions& feature = options.feature;
  const c10::Device device = teacher.placement().device;
  const PreprocessOptions preprocess = preprocess_options(teacher.bundle().image);
  const std::int64_t images = image_leaf.size(0);
  double sum = 0;
  for_each_micro_batch(images, options.micro_batch_unet, [&](std::int64_t first, std::int64_t count) {
    const at::Tensor pixels = pixel_tensor(batch.teacher_pixels->read(first, count), preprocess);
    const at::Tensor latents = teacher.encode_image(pixels);
    const at::Tensor contexts = contexts_of(teacher, batch, at::arange(first, first + count, at::kLong));
    const SdsDraws draws =
        draw_feature(feature, teacher.bundle(), options.seed, options.step, images, first, count, device);
    const at::Tensor targets = feature_targets(teacher, feature, latents, contexts, draws);
    const at::Tensor loss =
        feature_loss_sum(*models.feature_map, feature, image_leaf.narrow(0, first, count), targets) /
        static_cast<double>(images);
    (loss * (feature.weight * options.loss_scale)).backward();
    sum += loss.item<double>();
  });
  return sum;
}

}  // namespace sdsclip

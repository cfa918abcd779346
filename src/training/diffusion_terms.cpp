#include "diffusion_terms.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "micro_batches.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {

at::Tensor upstream(double weight, const at::Tensor& loss, const StepOptions& options) {
  const at::Tensor gradient = at::full({}, weight, loss.options());
  return options.loss_scale.defined() ? gradient * options.loss_scale : gradient;
}

void add_sds(const StepModels& models, const StepBatch& batch, const StepOptions& options,
             const at::Tensor& image_leaf, StepNumbers& numbers) {
  DiffusionTeacher& teacher = *models.teacher;
  const SdsOptions& sds = options.sds;
  const c10::Device device = teacher.placement().device;
  const std::int64_t images = image_leaf.size(0);
  const std::int64_t micro = options.micro_batch_unet > 0 ? options.micro_batch_unet : images * sds.samples;
  const double share = 1.0 / static_cast<double>(images * sds.samples);
  const double elements = static_cast<double>(images * sds.samples * models.latent_map->bias.numel());
  StepResult& result = numbers.result;
  if (options.diagnose) result.sds_shuffled = 0;

  // Blocks of whole images are cut into UNet micro-batches, so that an image's context is encoded once for
  // all its samples.
  const auto add_block = [&](std::int64_t first_image, std::int64_t image_count) {
    const at::Tensor contexts = teacher.encode_text(batch.teacher_ids.narrow(0, first_image, image_count));
    at::Tensor other_contexts;
    if (options.diagnose) {
      const at::Tensor next = at::arange(first_image + 1, first_image + image_count + 1, at::kLong);
      other_contexts = teacher.encode_text(batch.teacher_ids.index_select(0, next.remainder(images)));
    }

    const auto add_items = [&](std::int64_t first_item, std::int64_t count) {
      at::Tensor image_of_item;  // within the block; with one sample an item is an image
      if (sds.samples > 1) {
        image_of_item =
            at::arange(first_item, first_item + count, at::kLong).floor_divide(sds.samples).to(device);
      }
      const auto of_items = [&](const at::Tensor& block) {
        return image_of_item.defined() ? block.index_select(0, image_of_item) : block;
      };
      const at::Tensor embeds = of_items(image_leaf.narrow(0, first_image, image_count));
      const at::Tensor z = map_to_latent(*models.latent_map, embeds, sds, teacher.bundle().latent);
      const SdsDraws draws = draw_sds(sds, teacher.bundle(), options.seed, options.step, images,
                                      first_image * sds.samples + first_item, count, device);
      const at::Tensor gradient = upstream(sds.lambda * share, z, options);
      const auto loss_with = [&](const at::Tensor& block_contexts) {
        return sds_loss_sum(teacher, sds, z, of_items(block_contexts), draws, gradient);
      };
      const at::Tensor loss = loss_with(contexts);
      loss.backward(gradient);
      numbers.losses.add(loss, result.sds->loss, share);

      const at::NoGradGuard no_grad;
      const at::Tensor flat = z.flatten();
      numbers.measured.add(flat.sum(), result.z_mean, 1 / elements);
      numbers.measured.add(flat.dot(flat), result.z_std, 1 / elements);  // becomes it in `finish`
      if (options.diagnose) numbers.measured.add(loss_with(other_contexts), *result.sds_shuffled, share);
    };
    for_each_micro_batch(image_count * sds.samples, micro, add_items);
  };
  for_each_micro_batch(images, std::max<std::int64_t>(1, micro / sds.samples), add_block);
}

void add_feature(const StepModels& models, const StepBatch& batch, const StepOptions& options,
                 const at::Tensor& image_leaf, StepNumbers& numbers) {
  DiffusionTeacher& teacher = *models.teacher;
  const FeatureOptions& feature = options.feature;
  const c10::Device device = teacher.placement().device;
  const PreprocessOptions preprocess = preprocess_options(teacher.bundle().image);
  const std::int64_t images = image_leaf.size(0);
  const double share = 1.0 / static_cast<double>(images);
  for_each_micro_batch(images, options.micro_batch_unet, [&](std::int64_t first, std::int64_t count) {
    const at::Tensor pixels = pixel_tensor(batch.teacher_pixels->read(first, count), preprocess);
    const at::Tensor latents = teacher.encode_image(pixels);
    const at::Tensor contexts = teacher.encode_text(batch.teacher_ids.narrow(0, first, count));
    const SdsDraws draws =
        draw_feature(feature, teacher.bundle(), options.seed, options.step, images, first, count, device);
    const at::Tensor targets = feature_targets(teacher, feature, latents, contexts, draws);
    const at::Tensor loss =
        feature_loss_sum(*models.feature_map, feature, image_leaf.narrow(0, first, count), targets);
    loss.backward(upstream(feature.weight * share, loss, options));
    numbers.losses.add(loss, numbers.result.feature->loss, share);
  });
}

}  // namespace sdsclip

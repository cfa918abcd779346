#include "training_setup.h"

#include <ATen/ATen.h>

#include "sdsclip/base/error.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/trainable.h"

namespace sdsclip {
namespace {

void append(std::vector<NamedTensor>& list, const std::vector<NamedTensor>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

/// Losses that reach CLIP only by the image embedding have no effect if no image-tower parameter trains.
void check_reaches_clip(const TrainConfig& config, const std::vector<NamedTensor>& tuned) {
  if (any_in_image_tower(tuned)) return;
  throw usage_error(
      "train.tune: {} reaches no trained parameter of CLIP's image tower; tune more, or set {}=0",
      config.sds.lambda > 0 ? "L_SDS" : "the feature loss",
      config.sds.lambda > 0 ? "sds.lambda" : "feature.weight");
}

}  // namespace

TrainingSetup::TrainingSetup(const TrainConfig& config, const Placement& placement)
    : clip_bundle(read_bundle(config.clip, BundleKind::kClip)),
      clip(clip_bundle, placement),
      clip_tokenizer(load_tokenizer(clip_bundle)),
      trained(select_trainable(clip, config.train.tune, config.train.tune_temperature,
                               trains_logit_bias(config))),
      tuned(trained),
      dataset(open_captions(config.data)) {
  if (config.contrastive.kind == ContrastiveKind::kSigmoid && !clip.logit_bias().defined()) {
    throw usage_error(
        "contrastive.kind: got sigmoid, but {} has no logit_bias, which SigLIP's models have; set softmax",
        config.clip);
  }
  const std::uint64_t seed = static_cast<std::uint64_t>(config.seed);
  if (config.train.tune == Tune::kLora) {
    lora = add_lora(clip, config.train.lora, seed);
    append(trained, lora_parameters(lora));
    append(tuned, adapted_weights(lora));
  }
  if (config.rank.weight > 0) targets.emplace(config.rank.targets);
  if (!uses_teacher(config)) return;

  const Bundle bundle = read_bundle(config.teacher, BundleKind::kTeacher);
  check_sds_options(config.sds, bundle);
  check_feature_options(config.feature, bundle);
  check_reaches_clip(config, tuned);
  teacher.emplace(bundle,
                  TeacherParts{.vae_encoder = config.feature.weight > 0, .compiled = config.train.compiled},
                  placement);
  teacher_tokenizer.emplace(load_tokenizer(bundle));
  const auto train_map = [&](const LinearMap& map, std::string_view loss) {
    for (std::vector<NamedTensor>* list : {&trained, &tuned}) {
      list->emplace_back(map_parameter_name(loss, "weight"), map.weight);
      list->emplace_back(map_parameter_name(loss, "bias"), map.bias);
    }
  };
  if (config.sds.lambda > 0) {
    latent_map = make_latent_map(clip_bundle.embed_dim, bundle.latent, seed, placement.device);
    train_map(*latent_map, "sds");
  }
  if (config.feature.weight > 0) {
    feature_map = make_feature_map(config.feature, bundle, clip_bundle.embed_dim, seed, placement.device);
    train_map(*feature_map, "feature");
  }
}

StepModels TrainingSetup::models() {
  return {.clip = &clip,
          .teacher = teacher ? &*teacher : nullptr,
          .latent_map = latent_map ? &*latent_map : nullptr,
          .feature_map = feature_map ? &*feature_map : nullptr};
}

LoaderOptions loader_options(const TrainConfig& config, const TrainingSetup& setup) {
  LoaderOptions options;
  options.batch_size = config.train.batch_size;
  options.workers = config.data.workers;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.on_bad_sample = config.data.on_bad_sample;
  options.max_bad = config.data.max_bad;
  // Members of a shard have names but no path of their own.
  const bool has_folder = config.data.format != CaptionFormat::kWebDataset;
  if (config.data.confine && has_folder)
    options.confine_to = config.data.images.empty() ? "." : config.data.images;
  options.preprocess = preprocess_options(setup.clip_bundle.image, config.data.convert);
  if (setup.feature_map) {
    options.teacher_preprocess = preprocess_options(setup.teacher->bundle().image, config.data.convert);
  }
  return options;
}

}  // namespace sdsclip

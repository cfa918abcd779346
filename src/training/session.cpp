#include "session.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sdsclip/base/error.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/trainable.h"

namespace sdsclip {
namespace {

void append(std::vector<NamedTensor>& list, const std::vector<NamedTensor>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

/// Losses that reach CLIP only by the image embedding have no effect if no image-tower parameter trains.
void check_reaches_clip(const TrainConfig& config, const std::vector<NamedTensor>& outcome) {
  if (any_in_image_tower(outcome)) return;
  throw usage_error(
      "train.tune: {} reaches no trained parameter of CLIP's image tower; tune more, or set {}=0",
      config.sds.lambda > 0 ? "L_SDS" : "the feature loss",
      config.sds.lambda > 0 ? "sds.lambda" : "feature.weight");
}

/// The texts of a step beyond the images' own captions.
class TextColumns {
 public:
  explicit TextColumns(std::size_t captions) : captions_(static_cast<std::int64_t>(captions)) {}

  /// Adds a text and returns its row.
  std::int64_t add(const std::string& text) {
    further_.push_back(text);
    return captions_ + further_count() - 1;
  }
  [[nodiscard]] const std::vector<std::string>& further() const { return further_; }
  [[nodiscard]] std::int64_t further_count() const { return static_cast<std::int64_t>(further_.size()); }

 private:
  std::int64_t captions_;
  std::vector<std::string> further_;
};

/// The teacher's candidates for the images of the batch that have targets. Their own captions are already
/// columns.
std::optional<RankBatch> rank_batch(const RankTargets& targets, const Batch& batch, TextColumns& columns) {
  std::vector<std::int64_t> images;
  std::vector<std::vector<std::int64_t>> rows;
  std::vector<RankCandidates> found;
  for (std::size_t image = 0; image < batch.captions.size(); ++image) {
    std::optional<RankCandidates> candidates = targets.find(batch.image_names[image], batch.captions[image]);
    if (!candidates) continue;
    std::vector<std::int64_t>& row = rows.emplace_back();
    row.push_back(static_cast<std::int64_t>(image));
    for (std::size_t j = 1; j < candidates->captions.size(); ++j)
      row.push_back(columns.add(candidates->captions[j]));
    images.push_back(static_cast<std::int64_t>(image));
    found.push_back(std::move(*candidates));
  }
  if (images.empty()) return std::nullopt;
  std::size_t longest = 0;
  for (const std::vector<std::int64_t>& row : rows) longest = std::max(longest, row.size());
  const std::int64_t count = static_cast<std::int64_t>(rows.size());
  RankBatch result;
  result.images = at::tensor(images, at::kLong);
  result.texts = at::full({count, static_cast<std::int64_t>(longest)}, -1, at::kLong);
  result.distances = at::zeros({count, static_cast<std::int64_t>(longest)}, at::kFloat);
  for (std::int64_t r = 0; r < count; ++r) {
    const std::vector<std::int64_t>& row = rows[static_cast<std::size_t>(r)];
    const std::int64_t length = static_cast<std::int64_t>(row.size());
    result.texts[r].narrow(0, 0, length).copy_(at::tensor(row, at::kLong));
    result.distances[r].narrow(0, 0, length).copy_(at::tensor(found[static_cast<std::size_t>(r)].distances));
  }
  return result;
}

}  // namespace

Session::Session(const TrainConfig& config, const Placement& placement)
    : clip_bundle(read_bundle(config.clip, BundleKind::kClip)),
      clip(clip_bundle, placement),
      clip_tokenizer(load_tokenizer(clip_bundle)),
      trained(select_trainable(clip, config.train.tune, config.train.tune_temperature,
                               trains_logit_bias(config))),
      outcome(trained),
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
    append(outcome, adapted_weights(lora));
  }
  if (config.rank.weight > 0) targets.emplace(config.rank.targets);
  if (!uses_teacher(config)) return;

  const Bundle bundle = read_bundle(config.teacher, BundleKind::kTeacher);
  check_sds_options(config.sds, bundle);
  check_feature_options(config.feature, bundle);
  check_reaches_clip(config, outcome);
  teacher.emplace(bundle,
                  TeacherParts{.unet = true, .vae_encoder = config.feature.weight > 0, .text_encoder = true},
                  placement);
  teacher_tokenizer.emplace(load_tokenizer(bundle));
  const auto train_map = [&](const LinearMap& map, const std::string& name) {
    for (std::vector<NamedTensor>* list : {&trained, &outcome}) {
      list->emplace_back(name + ".weight", map.weight);
      list->emplace_back(name + ".bias", map.bias);
    }
  };
  if (config.sds.lambda > 0) {
    latent_map = make_latent_map(clip_bundle.embed_dim, bundle.latent, seed, placement.device);
    train_map(*latent_map, "sds.h_w");
  }
  if (config.feature.weight > 0) {
    feature_map = make_feature_map(config.feature, bundle, clip_bundle.embed_dim, seed, placement.device);
    train_map(*feature_map, "feature.h_w");
  }
}

StepModels Session::models() {
  return {.clip = &clip,
          .teacher = teacher ? &*teacher : nullptr,
          .latent_map = latent_map ? &*latent_map : nullptr,
          .feature_map = feature_map ? &*feature_map : nullptr};
}

LoaderOptions loader_options(const TrainConfig& config, const Session& session) {
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
  options.preprocess = preprocess_options(session.clip_bundle.image);
  options.preprocess.convert = config.data.convert;
  if (session.feature_map) {
    options.teacher_preprocess = preprocess_options(session.teacher->bundle().image);
    options.teacher_preprocess->convert = config.data.convert;
  }
  return options;
}

StepBatch step_batch(const TrainConfig& config, const Session& session, const Batch& batch) {
  StepBatch result;
  result.pixels = &batch.pixels;
  result.teacher_pixels = &batch.teacher_pixels;
  TextColumns columns(batch.captions.size());
  if (config.contrastive.hard_negatives) {
    for (const std::string& text : batch.negative_captions) {
      if (!text.empty()) columns.add(text);
    }
    result.hard_negatives = columns.further_count();
  }
  if (session.targets) result.rank = rank_batch(*session.targets, batch, columns);
  const std::int64_t size = static_cast<std::int64_t>(batch.captions.size());
  result.text_ids = at::tensor(batch.token_ids, at::kLong).view({size, -1});
  if (!columns.further().empty()) {
    result.text_ids = at::cat({result.text_ids, tokenize(session.clip_tokenizer, columns.further())});
  }
  if (session.teacher_tokenizer) result.teacher_ids = tokenize(*session.teacher_tokenizer, batch.captions);
  return result;
}

}  // namespace sdsclip

#include "sdsclip/training/step.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <map>
#include <optional>

#include "sdsclip/base/random.h"
#include "sdsclip/losses/contrastive.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/lora.h"
#include "sdsclip/models/trainable.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kBatch = 16;
constexpr double kLambda = 0.05;
constexpr std::uint64_t kSeed = 7;
constexpr std::int64_t kStep = 3;

/// The shipped models with L_SDS, a tuned temperature and two samples per image.
class StepTest : public ::testing::Test {
 protected:
  StepTest()
      : clip_(read_bundle("models/shapes-clip", BundleKind::kClip), {}),
        preprocess_(preprocess_options(clip_.bundle().image)),
        map_(make_latent_map(clip_.bundle().embed_dim, teacher_.bundle().latent, kSeed, at::kCPU)),
        trained_(select_trainable(clip_, Tune::kLayerNorm, /*tune_temperature=*/true)) {
    trained_.emplace_back("sds.h_w.weight", map_.weight);
    trained_.emplace_back("sds.h_w.bias", map_.bias);
    sds_.lambda = kLambda;
    sds_.samples = 2;

    RandomSequence random(1, stream_of("step_test"));
    pixels_.resize(static_cast<std::size_t>(kBatch) * preprocess_.element_count());
    for (std::uint8_t& value : pixels_) value = static_cast<std::uint8_t>(random.below(256));
    std::vector<std::string> captions;
    for (std::int64_t i = 0; i < kBatch; ++i) {
      captions.push_back(i % 2 == 0 ? "a red circle above a blue square"
                                    : "there is a large green ring number " + std::to_string(i));
    }
    stored_pixels_ = PixelStore(preprocess_.element_count());
    stored_pixels_.append(pixels_);
    batch_.pixels = &stored_pixels_;
    batch_.text_ids = tokenize(load_tokenizer(clip_.bundle()), captions);
    batch_.teacher_ids = tokenize(load_tokenizer(teacher_.bundle()), captions);
  }

  std::map<std::string, at::Tensor> take_gradients() {
    std::map<std::string, at::Tensor> gradients;
    for (const NamedTensor& tensor : trained_) {
      at::Tensor parameter = tensor.second;
      gradients[tensor.first] =
          parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter);
      parameter.mutable_grad() = at::Tensor();
    }
    return gradients;
  }

  /// The step as one would write it down: one graph over everything.
  std::map<std::string, at::Tensor> plain_gradients() {
    const at::Tensor images = clip_.encode_image(pixel_tensor(pixels_, preprocess_));
    const at::Tensor texts = clip_.encode_text(batch_.text_ids);
    const std::int64_t items = kBatch * sds_.samples;
    const SdsDraws draws = draw_sds(sds_, teacher_.bundle(), kSeed, kStep, kBatch, 0, items, at::kCPU);
    const at::Tensor z =
        map_to_latent(map_, images, sds_, teacher_.bundle().latent).repeat_interleave(sds_.samples, 0);
    const at::Tensor context = teacher_.encode_text(batch_.teacher_ids).repeat_interleave(sds_.samples, 0);
    const at::Tensor sds = sds_loss_sum(teacher_, sds_, z, context, draws) / static_cast<double>(items);
    plain_contrastive_ = contrastive_loss(images, texts, clip_.logit_scale()).item<double>();
    plain_sds_ = sds.item<double>();
    (contrastive_loss(images, texts, clip_.logit_scale()) + kLambda * sds).backward();
    return take_gradients();
  }

  StepOptions options(std::int64_t micro_batch_clip, std::int64_t micro_batch_unet) const {
    StepOptions result;
    result.sds = sds_;
    result.micro_batch_clip = micro_batch_clip;
    result.micro_batch_unet = micro_batch_unet;
    result.seed = kSeed;
    result.step = kStep;
    return result;
  }

  /// Loaded once for all tests, since nothing changes its weights.
  static DiffusionTeacher& shared_teacher() {
    static DiffusionTeacher teacher(read_bundle("models/shapes-teacher", BundleKind::kTeacher),
                                    {.unet = true, .vae_encoder = true, .text_encoder = true}, {});
    return teacher;
  }

  StepModels models() { return {&clip_, &teacher_, &map_, nullptr}; }

  ClipModel clip_;
  DiffusionTeacher& teacher_ = shared_teacher();
  PreprocessOptions preprocess_;
  LatentMap map_;
  std::vector<NamedTensor> trained_;
  SdsOptions sds_;
  std::vector<std::uint8_t> pixels_;
  PixelStore stored_pixels_;
  StepBatch batch_;
  double plain_contrastive_ = 0;
  double plain_sds_ = 0;
};

TEST_F(StepTest, CachedGradientsEqualThePlainStepsTensorByTensor) {
  const std::map<std::string, at::Tensor> expected = plain_gradients();
  for (const std::int64_t micro : {1, 3, 16}) {
    for (const std::int64_t micro_unet : {1, 5, 32}) {
      if (micro != 3 && micro_unet == 5) continue;
      const StepResult result = accumulate_gradients(models(), batch_, options(micro, micro_unet));
      EXPECT_NEAR(result.contrastive->loss / plain_contrastive_, 1.0, 1e-5);
      EXPECT_NEAR(result.sds->loss / plain_sds_, 1.0, 1e-5);
      EXPECT_NEAR(result.total / (plain_contrastive_ + kLambda * plain_sds_), 1.0, 1e-5);
      for (const auto& [name, gradient] : take_gradients()) {
        const double error = (gradient - expected.at(name)).norm().item<double>();
        const double size = expected.at(name).norm().item<double>();
        EXPECT_GT(size, 0.0) << name;
        EXPECT_LT(error, 1e-4 * size) << name << ", micro-batches " << micro << " and " << micro_unet;
      }
    }
  }
}

TEST_F(StepTest, CachedLoraGradientsEqualThoseOfOneMicroBatch) {
  select_trainable(clip_, Tune::kLora, false);
  const std::vector<LoraAdapter> lora = add_lora(clip_, {}, kSeed);
  {
    const at::NoGradGuard no_grad;
    torch::manual_seed(8);
    for (const LoraAdapter& adapter : lora) at::Tensor(adapter.b).normal_(0.0, 0.05);
  }
  merge_lora(lora);
  trained_ = lora_parameters(lora);
  accumulate_gradients(models(), batch_, options(16, 32));
  project_lora_gradients(lora);
  const std::map<std::string, at::Tensor> expected = take_gradients();
  accumulate_gradients(models(), batch_, options(3, 5));
  project_lora_gradients(lora);
  for (const auto& [name, gradient] : take_gradients()) {
    const double size = expected.at(name).norm().item<double>();
    EXPECT_GT(size, 0.0) << name;
    EXPECT_LT((gradient - expected.at(name)).norm().item<double>(), 1e-4 * size) << name;
  }
}

// Every term of L_total at once: hard negatives, L_rank over captions and candidates, the feature loss.
TEST_F(StepTest, CachedGradientsOfAllTermsEqualThePlainStepsTensorByTensor) {
  constexpr std::int64_t kNegatives = 3;
  constexpr std::int64_t kCandidates = 4;
  std::vector<std::string> further;
  for (std::int64_t i = 0; i < kNegatives + kCandidates; ++i)
    further.push_back("a blue ring " + std::to_string(i));
  batch_.text_ids = at::cat({batch_.text_ids, tokenize(load_tokenizer(clip_.bundle()), further)});
  batch_.hard_negatives = kNegatives;
  const std::int64_t first = kBatch + kNegatives;
  batch_.rank = RankBatch{at::tensor({2, 7}, at::kLong),
                          at::tensor({2L, first, first + 1, 7L, first + 2, -1L}, at::kLong).view({2, 3}),
                          at::tensor({0.10F, 0.12F, 0.11F, 0.20F, 0.19F, 0.0F}).view({2, 3})};
  const PreprocessOptions teacher_preprocess = preprocess_options(teacher_.bundle().image);
  std::vector<std::uint8_t> teacher_pixels(kBatch * teacher_preprocess.element_count());
  RandomSequence random(2, stream_of("step_test"));
  for (std::uint8_t& value : teacher_pixels) value = static_cast<std::uint8_t>(random.below(256));
  PixelStore stored_teacher_pixels(teacher_preprocess.element_count());
  stored_teacher_pixels.append(teacher_pixels);
  batch_.teacher_pixels = &stored_teacher_pixels;
  FeatureOptions feature;
  feature.weight = 0.02;
  const LinearMap feature_map =
      make_feature_map(feature, teacher_.bundle(), clip_.bundle().embed_dim, kSeed, at::kCPU);
  trained_.emplace_back("feature.h_w.weight", feature_map.weight);
  trained_.emplace_back("feature.h_w.bias", feature_map.bias);
  constexpr double kRankWeight = 0.7;
  constexpr double kTemperature = 0.05;

  // One graph over everything.
  const at::Tensor images = clip_.encode_image(pixel_tensor(pixels_, preprocess_));
  const at::Tensor texts = clip_.encode_text(batch_.text_ids);
  const at::Tensor contrastive =
      contrastive_loss(images, texts.narrow(0, 0, kBatch + kNegatives), clip_.logit_scale());
  const at::Tensor rank = ranking_loss(images, texts, clip_.logit_scale(), *batch_.rank, kTemperature);
  const at::Tensor context = teacher_.encode_text(batch_.teacher_ids);
  const SdsDraws draws =
      draw_sds(sds_, teacher_.bundle(), kSeed, kStep, kBatch, 0, kBatch * sds_.samples, at::kCPU);
  const at::Tensor z =
      map_to_latent(map_, images, sds_, teacher_.bundle().latent).repeat_interleave(sds_.samples, 0);
  const at::Tensor sds = sds_loss_sum(teacher_, sds_, z, context.repeat_interleave(sds_.samples, 0), draws) /
                         static_cast<double>(kBatch * sds_.samples);
  const at::Tensor targets = feature_targets(
      teacher_, feature, teacher_.encode_image(pixel_tensor(teacher_pixels, teacher_preprocess)), context,
      draw_feature(feature, teacher_.bundle(), kSeed, kStep, kBatch, 0, kBatch, at::kCPU));
  const at::Tensor feature_loss =
      feature_loss_sum(feature_map, feature, images, targets) / static_cast<double>(kBatch);
  const at::Tensor total = contrastive + kRankWeight * rank + kLambda * sds + feature.weight * feature_loss;
  total.backward();
  const std::map<std::string, at::Tensor> expected = take_gradients();

  for (const std::int64_t micro : {1, 5, 0}) {
    StepOptions all = options(micro, micro);
    all.feature = feature;
    all.rank_weight = kRankWeight;
    all.rank_temperature = kTemperature;
    const double loss_scale = micro == 5 ? 1024.0 : 1.0;
    all.loss_scale = at::full({}, loss_scale);
    const StepResult result = accumulate_gradients({&clip_, &teacher_, &map_, &feature_map}, batch_, all);
    EXPECT_NEAR(result.contrastive->loss / contrastive.item<double>(), 1.0, 1e-5);
    EXPECT_NEAR(result.rank->loss / rank.item<double>(), 1.0, 1e-4);
    EXPECT_NEAR(result.sds->loss / sds.item<double>(), 1.0, 1e-5);
    EXPECT_NEAR(result.feature->loss / feature_loss.item<double>(), 1.0, 1e-5);
    EXPECT_NEAR(result.total / total.item<double>(), 1.0, 1e-5);
    for (const auto& [name, gradient] : take_gradients()) {
      const double size = expected.at(name).norm().item<double>();
      EXPECT_GT(size, 0.0) << name;
      EXPECT_LT((gradient / loss_scale - expected.at(name)).norm().item<double>(), 1e-4 * size)
          << name << ", micro-batches " << micro;
    }
  }
}

TEST_F(StepTest, GivesTheSameBitsTwice) {
  accumulate_gradients(models(), batch_, options(4, 8));
  const std::map<std::string, at::Tensor> first = take_gradients();
  accumulate_gradients(models(), batch_, options(4, 8));
  for (const auto& [name, gradient] : take_gradients())
    EXPECT_TRUE(torch::equal(gradient, first.at(name))) << name;
}

TEST_F(StepTest, EncodesEachCaptionOnceForTheTeacher) {
  const WorkCounters before = teacher_.work();
  accumulate_gradients(models(), batch_, options(16, 3));
  EXPECT_EQ(teacher_.work().text_encodings - before.text_encodings, kBatch);
  EXPECT_EQ(teacher_.work().unet_evaluations - before.unet_evaluations, kBatch * sds_.samples);
}

TEST_F(StepTest, DiagnosisChangesNoGradient) {
  accumulate_gradients(models(), batch_, options(16, 8));
  const std::map<std::string, at::Tensor> plain = take_gradients();
  StepOptions diagnosing = options(16, 8);
  diagnosing.diagnose = true;
  const StepResult result = accumulate_gradients(models(), batch_, diagnosing);
  EXPECT_TRUE(result.sds_shuffled.has_value());
  EXPECT_NE(*result.sds_shuffled, result.sds->loss);
  for (const auto& [name, gradient] : take_gradients())
    EXPECT_TRUE(torch::equal(gradient, plain.at(name))) << name;
}

TEST_F(StepTest, WarmUpTrainsOnlyTheMap) {
  StepOptions warming = options(4, 8);
  warming.warm_up_map = true;
  const StepResult result = accumulate_gradients(models(), batch_, warming);
  EXPECT_FALSE(result.contrastive.has_value());
  for (const NamedTensor& tensor : trained_) {
    EXPECT_EQ(tensor.second.grad().defined(), tensor.first.starts_with("sds.h_w.")) << tensor.first;
  }
}

TEST_F(StepTest, WithoutATeacherIsOnlyTheContrastiveLoss) {
  const StepResult result = accumulate_gradients({.clip = &clip_}, batch_, options(16, 0));
  EXPECT_FALSE(result.sds.has_value());
  EXPECT_EQ(result.total, result.contrastive->loss);
  for (const auto& [name, gradient] : take_gradients()) {
    EXPECT_EQ(gradient.norm().item<double>() > 0, !name.starts_with("sds.")) << name;
  }
}

TEST_F(StepTest, WithoutAnyTermLeavesNoGradient) {
  StepOptions without = options(0, 0);
  without.contrastive_weight = 0;  // only L_rank, and no image of the batch has targets
  without.rank_weight = 1;
  const StepResult result = accumulate_gradients({.clip = &clip_}, batch_, without);
  EXPECT_EQ(result.total, 0);
  EXPECT_FALSE(result.rank);
  for (const NamedTensor& tensor : trained_) EXPECT_FALSE(tensor.second.grad().defined()) << tensor.first;
}

TEST_F(StepTest, ReportsTheStatisticsOfZ) {
  const StepResult result = accumulate_gradients(models(), batch_, options(16, 8));
  const at::NoGradGuard no_grad;
  const at::Tensor z = map_to_latent(map_, clip_.encode_image(pixel_tensor(pixels_, preprocess_)), sds_,
                                     teacher_.bundle().latent);
  EXPECT_NEAR(result.z_mean, z.mean().item<double>(), 1e-4);
  EXPECT_NEAR(result.z_std, z.std(/*unbiased=*/false).item<double>(), 1e-4);
}

}  // namespace
}  // namespace sdsclip

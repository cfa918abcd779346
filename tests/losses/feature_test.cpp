#include "sdsclip/losses/feature.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

Bundle feature_teacher() {
  return read_bundle("models/shapes-teacher", BundleKind::kTeacher);
}

// h_w(e) = W e + b with W = [[1, 2], [0, -1]], b = [1, 0]:
// e = (3, 1) gives (6, -1), e = (0, 2) gives (5, -2).
TEST(FeatureLossSum, EqualsTheHandWorkedCase) {
  const LinearMap map{torch::tensor({{1.0F, 2.0F}, {0.0F, -1.0F}}), torch::tensor({1.0F, 0.0F})};
  const at::Tensor embeds = torch::tensor({{3.0F, 1.0F}, {0.0F, 2.0F}}).set_requires_grad(true);
  const at::Tensor targets = torch::tensor({4.0F, 0.0F, 5.0F, 1.0F}).view({2, 2, 1, 1});
  FeatureOptions options;
  const at::Tensor loss = feature_loss_sum(map, options, embeds, targets);
  EXPECT_FLOAT_EQ(loss.item<float>(), 4 + 1 + 0 + 9);
  loss.backward();
  // 2 W^T (h_w(e) - I): 2 (2, 4 + 1) and 2 (0, 0 + 3).
  EXPECT_TRUE(torch::equal(embeds.grad(), torch::tensor({{4.0F, 10.0F}, {0.0F, 6.0F}})));
  options.reduction = SdsReduction::kMean;
  EXPECT_FLOAT_EQ(feature_loss_sum(map, options, embeds, targets).item<float>(), 14.0F / 2);
}

TEST(FeatureTargets, AreTheFrozenUNetsOutputsOfTheNoisedLatent) {
  DiffusionTeacher teacher(feature_teacher(), {.unet = true, .vae_encoder = false, .text_encoder = false},
                           {});
  torch::manual_seed(3);
  const Bundle& bundle = teacher.bundle();
  const at::Tensor latents = torch::randn({3, bundle.latent.channels, bundle.latent.size, bundle.latent.size})
                                 .set_requires_grad(true);
  const at::Tensor context = torch::randn({3, bundle.tokenizer.context_length, bundle.context_dim});
  FeatureOptions options;
  options.t_min = 0.2;
  options.t_max = 0.4;
  const SdsDraws draws = draw_feature(options, bundle, 1, 2, 3, 0, 3, at::kCPU);
  EXPECT_GE(draws.timesteps.min().item<std::int64_t>(), 200);
  EXPECT_LT(draws.timesteps.max().item<std::int64_t>(), 400);
  const at::Tensor abar = teacher.alphas_cumprod().index_select(0, draws.timesteps).view({3, 1, 1, 1});
  const at::Tensor noised = abar.sqrt() * latents.detach() + (1 - abar).sqrt() * draws.noise;
  const at::Tensor output = feature_targets(teacher, options, latents, context, draws);
  EXPECT_FALSE(output.requires_grad());
  EXPECT_TRUE(torch::allclose(output, teacher.predict(noised, draws.timesteps, context), 1e-5, 1e-6));
  for (std::size_t block = 0; block < bundle.features.size(); ++block) {
    options.block = static_cast<std::int64_t>(block);
    const at::Tensor feature = feature_targets(teacher, options, latents, context, draws);
    EXPECT_EQ(feature[0].sizes().vec(), bundle.features[block]);
    EXPECT_EQ(feature_shape(options, bundle), bundle.features[block]);
  }
}

TEST(MakeFeatureMap, HasTheShapeOfWhatIsDistilledAndItsOwnDraws) {
  const Bundle bundle = feature_teacher();
  FeatureOptions options;
  const LinearMap of_output = make_feature_map(options, bundle, 16, 5, at::kCPU);
  EXPECT_EQ(of_output.weight.sizes(), (at::IntArrayRef{4 * 8 * 8, 16}));
  EXPECT_LE(of_output.weight.abs().max().item<float>(), 0.25F);
  EXPECT_EQ(of_output.bias.abs().max().item<float>(), 0.0F);
  EXPECT_FALSE(torch::equal(of_output.weight, make_latent_map(16, bundle.latent, 5, at::kCPU).weight));
  options.block = 0;
  const std::vector<std::int64_t>& shape = bundle.features.front();
  EXPECT_EQ(make_feature_map(options, bundle, 16, 5, at::kCPU).bias.numel(), shape[0] * shape[1] * shape[2]);
}

TEST(CheckFeatureOptions, NamesTheKey) {
  Bundle bundle = feature_teacher();
  expect_error(ExitCode::kUsage, {"feature.block", "-1", "0 to 4"},
               [&] { check_feature_options({.block = 5}, bundle); });
  expect_error(ExitCode::kUsage, {"feature.block"}, [&] { check_feature_options({.block = -2}, bundle); });
  expect_error(ExitCode::kUsage, {"feature.t_min"},
               [&] { check_feature_options({.t_min = 0.5, .t_max = 0.5}, bundle); });
  bundle.features.clear();
  expect_error(ExitCode::kUsage, {"feature.block", "export it again"},
               [&] { check_feature_options({.block = 0}, bundle); });
}

}  // namespace
}  // namespace sdsclip

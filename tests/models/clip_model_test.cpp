#include "sdsclip/models/clip_model.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <map>

#include "sdsclip/models/safetensors.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

ClipModel load_student() {
  return ClipModel(read_bundle("models/shapes-clip", BundleKind::kClip), {});
}

at::Tensor some_pixels(const ClipModel& model, std::int64_t count) {
  torch::manual_seed(2);
  return torch::randn({count, 3, model.bundle().image.size, model.bundle().image.size});
}

TEST(ClipModel, EmbedsAnyBatchSizeAndEachSampleOnItsOwn) {
  const at::NoGradGuard no_grad;
  const ClipModel model = load_student();
  const at::Tensor pixels = some_pixels(model, 5);
  const at::Tensor all = model.encode_image(pixels);
  EXPECT_EQ(all.sizes(), (at::IntArrayRef{5, model.bundle().embed_dim}));
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(torch::allclose(model.encode_image(pixels.narrow(0, i, 1)), all.narrow(0, i, 1), 1e-4, 1e-5));
  }
}

TEST(ClipModel, GivesTheSameBitsInEveryCall) {
  const at::NoGradGuard no_grad;
  const ClipModel model = load_student();
  const at::Tensor pixels = some_pixels(model, 3);
  const at::Tensor first = model.encode_image(pixels);
  for (int call = 0; call < 4; ++call) EXPECT_TRUE(torch::equal(model.encode_image(pixels), first));
}

TEST(LoadTuned, ReplacesWhatTheFileHoldsAndNothingElse) {
  const TemporaryFolder folder;
  const std::string name = "visual.ln_post.weight";
  ClipModel model = load_student();
  std::map<std::string, at::Tensor> before;
  for (const NamedTensor& parameter : model.parameters()) before[parameter.first] = parameter.second.clone();
  const at::Tensor replacement = before.at(name) + 1;
  write_safetensors(folder / "t",
                    std::vector<NamedTensor>{{name, replacement}, {"sds.h_w.bias", torch::zeros({4})}});
  load_tuned(model, folder / "t");
  for (const NamedTensor& parameter : model.parameters()) {
    const at::Tensor& expected = parameter.first == name ? replacement : before.at(parameter.first);
    EXPECT_TRUE(torch::equal(parameter.second, expected)) << parameter.first;
  }
}

TEST(LoadTuned, RefusesTensorsOfAnotherModel) {
  const TemporaryFolder folder;
  ClipModel model = load_student();
  write_safetensors(folder / "t", std::vector<NamedTensor>{{"visual.nothing", torch::zeros({4})}});
  expect_error(ExitCode::kInput, {"visual.nothing", "another model"},
               [&] { load_tuned(model, folder / "t"); });
  write_safetensors(folder / "t", std::vector<NamedTensor>{{"logit_scale", torch::zeros({4})}});
  expect_error(ExitCode::kInput, {"logit_scale", "[4]"}, [&] { load_tuned(model, folder / "t"); });
}

TEST(SaveBundle, LoadsAgainWithTheTunedWeights) {
  const TemporaryFolder folder;
  const at::NoGradGuard no_grad;
  ClipModel model = load_student();
  const at::Tensor pixels = some_pixels(model, 2);
  for (const NamedTensor& parameter : model.parameters()) {
    if (parameter.first == "visual.ln_post.bias") parameter.second.add_(0.5);
  }
  save_bundle(model, "tuned", folder / "bundle");
  const Bundle bundle = read_bundle(folder / "bundle", BundleKind::kClip);
  verify_bundle(bundle);
  EXPECT_EQ(bundle.name, "tuned");
  EXPECT_TRUE(torch::equal(ClipModel(bundle, {}).encode_image(pixels), model.encode_image(pixels)));
  EXPECT_FALSE(torch::equal(load_student().encode_image(pixels), model.encode_image(pixels)));
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/models/trainable.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <set>

namespace sdsclip {
namespace {

ClipModel load_untuned_student() {
  return ClipModel(read_bundle("models/shapes-clip", BundleKind::kClip), {});
}

std::set<std::string> names_of(const std::vector<NamedTensor>& tensors) {
  std::set<std::string> names;
  for (const NamedTensor& tensor : tensors) names.insert(tensor.first);
  return names;
}

/// open_clip's names of a ViT's and a text transformer's LayerNorms, written out from its model code.
bool is_open_clip_layer_norm(const std::string& name) {
  return name.find(".ln_1.") != std::string::npos || name.find(".ln_2.") != std::string::npos ||
         name.starts_with("visual.ln_pre.") || name.starts_with("visual.ln_post.") ||
         name.starts_with("ln_final.");
}

TEST(SelectTrainable, LayerNormIsEveryLayerNormOfBothTowersAndNothingElse) {
  const ClipModel model = load_untuned_student();
  const std::set<std::string> selected = names_of(select_trainable(model, Tune::kLayerNorm, false));
  std::size_t expected = 0;
  for (const NamedTensor& parameter : model.parameters()) {
    const bool trains = is_open_clip_layer_norm(parameter.first);
    expected += trains ? 1 : 0;
    EXPECT_EQ(selected.contains(parameter.first), trains) << parameter.first;
    EXPECT_EQ(parameter.second.requires_grad(), trains) << parameter.first;
  }
  EXPECT_GT(expected, 20U);
  EXPECT_EQ(selected.size(), expected);
}

TEST(SelectTrainable, WithBiasAddsEveryBias) {
  const ClipModel model = load_untuned_student();
  const std::set<std::string> selected = names_of(select_trainable(model, Tune::kLayerNormBias, false));
  for (const NamedTensor& parameter : model.parameters()) {
    const bool trains = is_open_clip_layer_norm(parameter.first) || parameter.first.ends_with("bias");
    EXPECT_EQ(selected.contains(parameter.first), trains) << parameter.first;
  }
}

TEST(SelectTrainable, AllIsEverythingButTheTemperatureUnlessAskedFor) {
  const ClipModel model = load_untuned_student();
  const std::size_t count = model.parameters().size();
  EXPECT_EQ(select_trainable(model, Tune::kAll, true).size(), count);
  const std::set<std::string> selected = names_of(select_trainable(model, Tune::kAll, false));
  EXPECT_EQ(selected.size(), count - 1);
  EXPECT_FALSE(selected.contains("logit_scale"));
}

}  // namespace
}  // namespace sdsclip

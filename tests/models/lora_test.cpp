#include "sdsclip/models/lora.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <map>

#include "sdsclip/base/text.h"
#include "sdsclip/models/trainable.h"
#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

constexpr std::uint64_t kSeed = 3;

ClipModel load_lora_student() {
  ClipModel model(read_bundle("models/shapes-clip", BundleKind::kClip), {});
  select_trainable(model, Tune::kLora, false);
  return model;
}

std::map<std::string, at::Tensor> parameters_of(const ClipModel& model) {
  const std::vector<NamedTensor> list = model.parameters();
  return {list.begin(), list.end()};
}

/// Replaces the parameter `name` in the model's graph by `value` with its own history.
void replace_parameter(const ClipModel& model, const std::string& name, const at::Tensor& value) {
  const std::vector<std::string> path = split(name, '.');
  torch::jit::Module owner = model.module();
  for (std::size_t i = 0; i + 1 < path.size(); ++i) owner = owner.attr(path[i]).toModule();
  owner.setattr(path.back(), value);
}

/// Some number that depends on every weight of both towers.
at::Tensor loss_of(const ClipModel& model) {
  torch::manual_seed(5);
  const std::int64_t size = model.bundle().image.size;
  const at::Tensor pixels = torch::randn({3, 3, size, size});
  const at::Tensor ids = torch::randint(1, model.bundle().tokenizer.sot,
                                        {3, model.bundle().tokenizer.context_length}, at::kLong);
  const at::Tensor images = model.encode_image(pixels);
  const at::Tensor texts = model.encode_text(ids);
  return (images * torch::randn_like(images)).sum() + (texts * torch::randn_like(texts)).sum();
}

/// Adapters with a B that is not zero. At the start, A's gradient would be zero even with wrong code.
std::vector<LoraAdapter> add_moved_lora(const ClipModel& model, const LoraOptions& options) {
  const std::vector<LoraAdapter> adapters = add_lora(model, options, kSeed);
  const at::NoGradGuard no_grad;
  torch::manual_seed(6);
  for (const LoraAdapter& adapter : adapters) {
    at::Tensor b = adapter.b;
    b.copy_(0.05 * torch::randn_like(b));
  }
  merge_lora(adapters);
  return adapters;
}

TEST(Lora, GradientsEqualPlainAutogradThroughW0PlusScaleBA) {
  const LoraOptions options{.rank = 3, .alpha = 6, .targets = {"attn", "mlp.c_fc", "conv1"}};
  const ClipModel model = load_lora_student();
  const std::vector<LoraAdapter> adapters = add_moved_lora(model, options);
  // Two backward passes into the same gradients, as micro-batches leave them.
  loss_of(model).backward();
  loss_of(model).backward();
  project_lora_gradients(adapters);

  const ClipModel plain = load_lora_student();
  const std::map<std::string, at::Tensor> original = parameters_of(plain);
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> leaves;
  for (const LoraAdapter& adapter : adapters) {
    const at::Tensor a = adapter.a.detach().clone().set_requires_grad(true);
    const at::Tensor b = adapter.b.detach().clone().set_requires_grad(true);
    const at::Tensor& weight = original.at(adapter.name);
    replace_parameter(plain, adapter.name, weight + 2.0 * torch::matmul(b, a).view_as(weight));
    leaves[adapter.name] = {a, b};
  }
  const at::Tensor loss = loss_of(plain);
  EXPECT_NEAR(loss.item<double>(), loss_of(model).item<double>(), 1e-4);
  (2 * loss).backward();
  EXPECT_GT(adapters.size(), 10U);
  for (const LoraAdapter& adapter : adapters) {
    const auto& [a, b] = leaves.at(adapter.name);
    EXPECT_LT((adapter.a.grad() - a.grad()).norm().item<double>(), 1e-5 * a.grad().norm().item<double>());
    EXPECT_LT((adapter.b.grad() - b.grad()).norm().item<double>(), 1e-5 * b.grad().norm().item<double>());
    EXPECT_FALSE(adapter.weight.grad().defined()) << adapter.name;
  }
}

TEST(Lora, StartsAtTheArchivesWeightsToTheBit) {
  const ClipModel untouched = load_lora_student();
  const ClipModel model = load_lora_student();
  merge_lora(add_lora(model, {}, kSeed));
  const std::map<std::string, at::Tensor> before = parameters_of(untouched);
  for (const NamedTensor& parameter : model.parameters()) {
    EXPECT_TRUE(torch::equal(parameter.second, before.at(parameter.first))) << parameter.first;
  }
}

TEST(Lora, MergesAnUpdateOfTheAskedRankIntoTheTargetsAlone) {
  const ClipModel untouched = load_lora_student();
  const ClipModel model = load_lora_student();
  const std::vector<LoraAdapter> adapters =
      add_moved_lora(model, {.rank = 2, .targets = {"visual.transformer"}});
  const std::map<std::string, at::Tensor> before = parameters_of(untouched);
  std::size_t changed = 0;
  for (const NamedTensor& parameter : model.parameters()) {
    const at::Tensor update = parameter.second.detach() - before.at(parameter.first);
    const bool is_target = parameter.second.dim() >= 2 && parameter.first.starts_with("visual.transformer") &&
                           parameter.first.ends_with("weight");
    EXPECT_EQ(parameter.second.requires_grad(), is_target) << parameter.first;
    if (!is_target) {
      EXPECT_EQ(update.abs().max().item<float>(), 0.0F) << parameter.first;
      continue;
    }
    ++changed;
    EXPECT_EQ(torch::linalg_matrix_rank(update.to(at::kDouble), 1e-6, false).item<std::int64_t>(), 2)
        << parameter.first;
  }
  EXPECT_EQ(changed, adapters.size());
  EXPECT_GT(changed, 0U);
}

TEST(Lora, DrawsAFromTheSeedAndTheWeightsNameAlone) {
  const ClipModel model = load_lora_student();
  const std::vector<LoraAdapter> all = add_lora(model, {.targets = {"attn", "mlp"}}, kSeed);
  const std::vector<LoraAdapter> some = add_lora(model, {.targets = {"mlp"}}, kSeed);
  const std::vector<LoraAdapter> other = add_lora(model, {.targets = {"mlp"}}, kSeed + 1);
  std::map<std::string, at::Tensor> drawn;
  for (const LoraAdapter& adapter : all) drawn[adapter.name] = adapter.a;
  for (std::size_t i = 0; i < some.size(); ++i) {
    EXPECT_TRUE(torch::equal(some[i].a, drawn.at(some[i].name))) << some[i].name;
    EXPECT_FALSE(torch::equal(other[i].a, some[i].a)) << some[i].name;
    const double bound = 1.0 / std::sqrt(static_cast<double>(some[i].a.size(1)));
    EXPECT_LE(some[i].a.abs().max().item<double>(), bound);
    EXPECT_GT(some[i].a.abs().max().item<double>(), 0.9 * bound);
  }
}

TEST(Lora, RefusesTargetsThatMatchNothingAndRanksAboveAWeights) {
  const ClipModel model = load_lora_student();
  expect_error(ExitCode::kUsage, {"train.lora.targets", "'q_proj'", "such as"}, [&] {
    add_lora(model, {.targets = {"attn", "q_proj"}}, kSeed);
  });
  expect_error(ExitCode::kUsage, {"train.lora.rank", "100000"},
               [&] { add_lora(model, {.rank = 100000}, kSeed); });
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/models/teacher.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <map>
#include <utility>

namespace sdsclip {
namespace {

DiffusionTeacher load_teacher(Precision precision = Precision::kFp32) {
  return DiffusionTeacher(read_bundle("models/shapes-teacher", BundleKind::kTeacher), {},
                          {.precision = precision});
}

struct Inputs {
  at::Tensor z;        // f32[B, C, h, w]
  at::Tensor t;        // i64[B]
  at::Tensor context;  // f32[B, L, E]
};

Inputs some_inputs(const Bundle& bundle, std::int64_t batch) {
  torch::manual_seed(static_cast<std::uint64_t>(batch));
  const BundleLatent& latent = bundle.latent;
  return {torch::randn({batch, latent.channels, latent.size, latent.size}).set_requires_grad(true),
          torch::randint(0, bundle.schedule.train_timesteps, {batch}, at::kLong),
          torch::randn({batch, bundle.tokenizer.context_length, bundle.context_dim})};
}

/// The prediction and its gradient with respect to the latent.
std::pair<at::Tensor, at::Tensor> predict_and_differentiate(DiffusionTeacher& teacher, std::int64_t batch) {
  const Inputs inputs = some_inputs(teacher.bundle(), batch);
  const at::Tensor prediction = teacher.predict(inputs.z, inputs.t, inputs.context);
  prediction.square().sum().backward();
  return {prediction.detach(), inputs.z.grad()};
}

TEST(DiffusionTeacher, GivesTheSameBitsAfterAnyBatchSizes) {
  std::map<std::int64_t, std::pair<at::Tensor, at::Tensor>> first;
  for (const std::int64_t batch : {1, 2, 3}) {
    DiffusionTeacher fresh = load_teacher();
    first[batch] = predict_and_differentiate(fresh, batch);
  }
  DiffusionTeacher teacher = load_teacher();
  for (const std::int64_t batch : {1, 2, 1, 3, 3, 3, 1, 2, 2}) {
    const auto [prediction, gradient] = predict_and_differentiate(teacher, batch);
    EXPECT_TRUE(torch::equal(prediction, first[batch].first)) << "batch of " << batch;
    EXPECT_TRUE(torch::equal(gradient, first[batch].second)) << "batch of " << batch;
  }
}

TEST(DiffusionTeacher, ContextsAndLatentsCanEnterAGraph) {
  DiffusionTeacher teacher = load_teacher();
  const Bundle& bundle = teacher.bundle();
  const at::Tensor ids = torch::full({2, bundle.tokenizer.context_length}, bundle.tokenizer.eot, at::kLong);
  const at::Tensor context = teacher.encode_text(ids);
  const at::Tensor latent = teacher.encode_image(torch::rand({2, 3, bundle.image.size, bundle.image.size}));
  for (const at::Tensor& tensor : {context, latent}) {
    EXPECT_FALSE(tensor.is_inference());
    EXPECT_FALSE(tensor.requires_grad());
  }
  // Inference tensors would be refused here: autograd saves both for the backward pass.
  const at::Tensor scale = torch::ones({1}).set_requires_grad(true);
  teacher.predict(latent * scale, torch::zeros({2}, at::kLong), context * scale).sum().backward();
  EXPECT_TRUE(scale.grad().isfinite().all().item<bool>());
  EXPECT_NE(scale.grad().item<float>(), 0.0F);
}

TEST(DiffusionTeacher, DependsOnlyOnTheSampleAndItsOwnTimestepAndContext) {
  const at::NoGradGuard no_grad;
  DiffusionTeacher teacher = load_teacher();
  const Inputs inputs = some_inputs(teacher.bundle(), 4);
  const at::Tensor all = teacher.predict(inputs.z, inputs.t, inputs.context);
  for (std::int64_t i = 0; i < 4; ++i) {
    const at::Tensor alone =
        teacher.predict(inputs.z.narrow(0, i, 1), inputs.t.narrow(0, i, 1), inputs.context.narrow(0, i, 1));
    EXPECT_TRUE(torch::allclose(alone, all.narrow(0, i, 1), 1e-4, 1e-5)) << i;
  }
}

TEST(DiffusionTeacher, InBf16TakesAndReturnsFp32CloseToTheExactValues) {
  DiffusionTeacher exact = load_teacher();
  DiffusionTeacher half = load_teacher(Precision::kBf16);
  const auto [expected, expected_gradient] = predict_and_differentiate(exact, 3);
  const auto [prediction, gradient] = predict_and_differentiate(half, 3);
  EXPECT_EQ(prediction.scalar_type(), at::kFloat);
  EXPECT_EQ(gradient.scalar_type(), at::kFloat);
  EXPECT_LT((prediction - expected).norm().item<double>(), 0.05 * expected.norm().item<double>());
  EXPECT_LT((gradient - expected_gradient).norm().item<double>(),
            0.1 * expected_gradient.norm().item<double>());
  EXPECT_FALSE(torch::equal(prediction, expected));
}

}  // namespace
}  // namespace sdsclip

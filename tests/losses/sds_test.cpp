#include "sdsclip/losses/sds.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sdsclip/models/noise_schedule.h"
#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

const Placement kCpu;
constexpr const char* kTeacher = "models/shapes-teacher";

Bundle teacher_bundle() {
  return read_bundle(kTeacher, BundleKind::kTeacher);
}

DiffusionTeacher load_teacher() {
  return DiffusionTeacher(teacher_bundle(), {.unet = true, .vae_encoder = false, .text_encoder = true}, kCpu);
}

/// A batch of latents, contexts and draws for the tests that need a teacher.
struct Example {
  at::Tensor z;
  at::Tensor context;
  SdsDraws draws;
};

Example make_example(DiffusionTeacher& teacher, const SdsOptions& options, std::int64_t count) {
  torch::manual_seed(5);
  const BundleLatent& latent = teacher.bundle().latent;
  const BundleTokenizer& tokenizer = teacher.bundle().tokenizer;
  Example example;
  example.z = torch::randn({count, latent.channels, latent.size, latent.size}).set_requires_grad(true);
  at::Tensor ids = torch::full({count, tokenizer.context_length}, tokenizer.eot, at::kLong);
  ids.select(1, 0).fill_(tokenizer.sot);
  ids.select(1, 1).copy_(torch::arange(count) + 300);
  example.context = teacher.encode_text(ids);
  example.draws = draw_sds(options, teacher.bundle(), 3, 4, count, 0, count, at::kCPU);
  return example;
}

/// Eq. 3 written out, item by item.
double plain_loss(DiffusionTeacher& teacher, const Example& example, const SdsOptions& options) {
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (std::int64_t i = 0; i < example.z.size(0); ++i) {
    const at::Tensor t = example.draws.timesteps.narrow(0, i, 1);
    const double abar = teacher.alphas_cumprod()[t.item<std::int64_t>()].item<double>();
    const at::Tensor eps = example.draws.noise.narrow(0, i, 1);
    const at::Tensor z = example.z.narrow(0, i, 1);
    const at::Tensor noised =
        options.noising == SdsNoising::kNone ? z : std::sqrt(abar) * z + std::sqrt(1 - abar) * eps;
    const at::Tensor error = teacher.predict_noise(noised, t, example.context.narrow(0, i, 1)) - eps;
    double term = error.pow(2).sum().item<double>();
    if (options.reduction == SdsReduction::kMean) term /= static_cast<double>(z.numel());
    if (options.weight == SdsWeight::kOneMinusAbar) term *= 1 - abar;
    if (options.error == SdsError::kV) term /= abar;
    sum += term;
  }
  return sum;
}

TEST(SdsLoss, EqualsEquationThreeWrittenOutForEveryOption) {
  DiffusionTeacher teacher = load_teacher();
  for (const SdsNoising noising : {SdsNoising::kDdpm, SdsNoising::kNone}) {
    for (const SdsReduction reduction : {SdsReduction::kSum, SdsReduction::kMean}) {
      for (const SdsWeight weight : {SdsWeight::kOne, SdsWeight::kOneMinusAbar}) {
        for (const SdsJacobian jacobian : {SdsJacobian::kFull, SdsJacobian::kDropped}) {
          for (const SdsError error : {SdsError::kEps, SdsError::kV}) {
            SdsOptions options;
            options.noising = noising;
            options.reduction = reduction;
            options.weight = weight;
            options.jacobian = jacobian;
            options.error = error;
            if (noising == SdsNoising::kNone && error == SdsError::kV)
              continue;  // refused by check_sds_options
            const Example example = make_example(teacher, options, 3);
            const double expected = plain_loss(teacher, example, options);
            const double got =
                sds_loss_sum(teacher, options, example.z, example.context, example.draws).item<double>();
            EXPECT_NEAR(got / expected, 1.0, 1e-4);
          }
        }
      }
    }
  }
}

TEST(SdsLoss, GradientOfTheFullJacobianEqualsADifferenceQuotient) {
  DiffusionTeacher teacher = load_teacher();
  SdsOptions options;
  options.reduction = SdsReduction::kMean;
  const Example example = make_example(teacher, options, 1);
  sds_loss_sum(teacher, options, example.z, example.context, example.draws).backward();
  torch::manual_seed(6);
  const at::Tensor direction = torch::randn_like(example.z);
  const double step = 1e-2;
  const at::NoGradGuard no_grad;
  const auto loss_at = [&](double distance) {
    return sds_loss_sum(teacher, options, example.z + distance * direction, example.context, example.draws)
        .item<double>();
  };
  const double quotient = (loss_at(step) - loss_at(-step)) / (2 * step);
  const double slope = (example.z.grad() * direction).sum().item<double>();
  EXPECT_NEAR(slope, quotient, 1e-2 * std::abs(quotient) + 1e-4);
}

TEST(SdsLoss, GradientOfTheDroppedJacobianIsDreamFusions) {
  DiffusionTeacher teacher = load_teacher();
  SdsOptions options;
  options.jacobian = SdsJacobian::kDropped;
  options.weight = SdsWeight::kOneMinusAbar;
  const Example example = make_example(teacher, options, 2);
  sds_loss_sum(teacher, options, example.z, example.context, example.draws).backward();
  const at::NoGradGuard no_grad;
  for (std::int64_t i = 0; i < 2; ++i) {
    const at::Tensor t = example.draws.timesteps.narrow(0, i, 1);
    const double abar = teacher.alphas_cumprod()[t.item<std::int64_t>()].item<double>();
    const at::Tensor eps = example.draws.noise.narrow(0, i, 1);
    const at::Tensor noised = std::sqrt(abar) * example.z.narrow(0, i, 1) + std::sqrt(1 - abar) * eps;
    const at::Tensor error = teacher.predict_noise(noised, t, example.context.narrow(0, i, 1)) - eps;
    const at::Tensor expected = 2 * (1 - abar) * std::sqrt(abar) * error;
    EXPECT_TRUE(torch::allclose(example.z.grad().narrow(0, i, 1), expected, 1e-3, 1e-4));
  }
}

TEST(SdsLoss, AllocatesNoGradientForTheTeacher) {
  DiffusionTeacher teacher = load_teacher();
  const SdsOptions options;
  const Example example = make_example(teacher, options, 1);
  sds_loss_sum(teacher, options, example.z, example.context, example.draws).backward();
  EXPECT_TRUE(example.z.grad().defined());
  EXPECT_FALSE(example.context.requires_grad());
}

TEST(DrawSds, OfAPartEqualThatPartOfTheWhole) {
  const Bundle bundle = teacher_bundle();
  for (const SdsTimesteps timesteps :
       {SdsTimesteps::kUniform, SdsTimesteps::kStratified, SdsTimesteps::kLogitNormal}) {
    SdsOptions options;
    options.timesteps = timesteps;
    options.samples = 2;
    const SdsDraws whole = draw_sds(options, bundle, 1, 2, 5, 0, 10, at::kCPU);
    const SdsDraws part = draw_sds(options, bundle, 1, 2, 5, 3, 4, at::kCPU);
    EXPECT_TRUE(torch::equal(part.timesteps, whole.timesteps.narrow(0, 3, 4)));
    EXPECT_TRUE(torch::equal(part.noise, whole.noise.narrow(0, 3, 4)));
  }
}

TEST(DrawSds, DifferByStepAndSeed) {
  const Bundle bundle = teacher_bundle();
  const SdsOptions options;
  const SdsDraws first = draw_sds(options, bundle, 1, 2, 8, 0, 8, at::kCPU);
  EXPECT_FALSE(torch::equal(first.noise, draw_sds(options, bundle, 1, 3, 8, 0, 8, at::kCPU).noise));
  EXPECT_FALSE(torch::equal(first.noise, draw_sds(options, bundle, 2, 2, 8, 0, 8, at::kCPU).noise));
}

TEST(DrawSds, KeepsToTheRange) {
  const Bundle bundle = teacher_bundle();
  for (const SdsTimesteps timesteps :
       {SdsTimesteps::kUniform, SdsTimesteps::kStratified, SdsTimesteps::kLogitNormal}) {
    SdsOptions options;
    options.timesteps = timesteps;
    options.t_min = 0.3;
    options.t_max = 0.9;
    const at::Tensor t = draw_sds(options, bundle, 1, 2, 200, 0, 200, at::kCPU).timesteps;
    EXPECT_GE(t.min().item<std::int64_t>(), bundle.schedule.train_timesteps * 3 / 10);
    EXPECT_LT(t.max().item<std::int64_t>(), bundle.schedule.train_timesteps * 9 / 10);
  }
}

TEST(DrawSds, StratifiedPutsOneItemIntoEachStratum) {
  const Bundle bundle = teacher_bundle();
  SdsOptions options;
  options.timesteps = SdsTimesteps::kStratified;
  const at::Tensor t = draw_sds(options, bundle, 1, 2, 10, 0, 10, at::kCPU).timesteps;
  std::set<std::int64_t> strata;
  for (std::int64_t i = 0; i < 10; ++i) {
    strata.insert(t[i].item<std::int64_t>() * 10 / bundle.schedule.train_timesteps);
  }
  EXPECT_EQ(strata.size(), 10U);
}

/// How often each tenth of the schedule was drawn must agree with `share_below`, the distribution function of
/// t / T, within five standard deviations.
void expect_distribution(const SdsOptions& options, double (*share_below)(double u)) {
  constexpr std::int64_t kDraws = 20000;
  constexpr std::int64_t kBins = 10;
  const Bundle bundle = teacher_bundle();
  const at::Tensor bins = draw_sds(options, bundle, 1, 2, kDraws, 0, kDraws, at::kCPU).timesteps * kBins /
                          bundle.schedule.train_timesteps;
  const at::Tensor counts = torch::bincount(bins.to(at::kLong), {}, kBins);
  const auto share_in_range = [&](double u) {
    const double clamped = std::clamp(u, options.t_min, options.t_max);
    return (share_below(clamped) - share_below(options.t_min)) /
           (share_below(options.t_max) - share_below(options.t_min));
  };
  for (std::int64_t bin = 0; bin < kBins; ++bin) {
    const double from = static_cast<double>(bin) / kBins;
    const double p = share_in_range(from + 1.0 / kBins) - share_in_range(from);
    const double sigma = std::sqrt(kDraws * p * (1 - p));
    EXPECT_NEAR(counts[bin].item<double>(), kDraws * p, 5 * sigma + 1e-9) << "tenth " << bin;
  }
}

TEST(DrawSds, UniformDrawsEveryTimestepOfTheRangeAlike) {
  SdsOptions options;
  options.t_min = 0.2;
  options.t_max = 0.9;
  expect_distribution(options, [](double u) { return u; });
}

TEST(DrawSds, LogitNormalIsTheLogisticFunctionOfANormalDrawTruncatedToTheRange) {
  SdsOptions options;
  options.timesteps = SdsTimesteps::kLogitNormal;
  const auto share_below = [](double u) {  // Phi(logit(u))
    return 0.5 * std::erfc(-std::log(u / (1 - u)) / std::sqrt(2.0));
  };
  expect_distribution(options, share_below);
  options.t_min = 0.2;
  options.t_max = 0.9;
  expect_distribution(options, share_below);
}

struct Quantile {
  double t_min;
  double t_max;
  double p;
  double u;
};

// scipy 1.17: expit(truncnorm.ppf(p, logit(t_min), logit(t_max))).
constexpr Quantile kScipyQuantiles[] = {
    {0.0, 1.0, 0.1, 0.21728622854064458},        {0.0, 1.0, 0.5, 0.5},
    {0.0, 1.0, 0.999999, 0.9914515856589713},    {0.2, 0.9, 0.0, 0.2},
    {0.2, 0.9, 0.1, 0.28053525784003674},        {0.2, 0.9, 0.5, 0.5215786500237778},
    {0.2, 0.9, 0.999999, 0.8999977226149332},    {0.999, 1.0, 0.1, 0.9990148120290557},
    {0.999, 1.0, 0.5, 0.9990930030800951},       {0.999, 1.0, 0.999999, 0.9998256581908871},
    {0.0, 0.01, 0.1, 0.006342833627917112},      {0.0, 0.01, 0.9, 0.009785296256055722},
    {0.999999999, 1.0, 0.5, 0.9999999990327939},
};

TEST(TruncatedLogitNormal, EqualsScipysTruncatedNormal) {
  for (const Quantile& expected : kScipyQuantiles) {
    EXPECT_NEAR(truncated_logit_normal(expected.p, expected.t_min, expected.t_max), expected.u, 1e-12)
        << expected.p << " of " << expected.t_min << " to " << expected.t_max;
  }
}

// Of draws that fall so seldom into the range that waiting for one would take for ever.
TEST(TruncatedLogitNormal, StaysInTheRangeFarFromTheMean) {
  const double nearly_one = std::nextafter(1.0, 0.0);
  for (const auto& [low, high] : {std::pair{nearly_one, 1.0}, std::pair{1 - 1e-12, 1 - 1e-13},
                                  std::pair{0.0, 1e-300}, std::pair{0.5, std::nextafter(0.5, 1.0)}}) {
    double before = 0;
    for (const double p : {0.0, 1e-9, 0.3, 0.9, nearly_one}) {
      const double u = truncated_logit_normal(p, low, high);
      EXPECT_GE(u, low);
      EXPECT_LT(u, high);
      EXPECT_GE(u, before);
      before = u;
    }
  }
}

TEST(DrawSds, LogitNormalNearTheEndOfTheScheduleTerminates) {
  const Bundle bundle = teacher_bundle();
  SdsOptions options;
  options.timesteps = SdsTimesteps::kLogitNormal;
  options.t_min = 0.9999999;
  const at::Tensor t = draw_sds(options, bundle, 1, 2, 50, 0, 50, at::kCPU).timesteps;
  EXPECT_TRUE((t == bundle.schedule.train_timesteps - 1).all().item<bool>());
}

TEST(CheckSdsOptions, RefusesInvalidValues) {
  Bundle bundle = teacher_bundle();
  SdsOptions options;
  options.t_min = 0.9;
  options.t_max = 0.3;
  expect_error(ExitCode::kUsage, {"sds.t_min", "0.9", "0.3"}, [&] { check_sds_options(options, bundle); });
  options = {};
  options.samples = 0;
  expect_error(ExitCode::kUsage, {"sds.samples"}, [&] { check_sds_options(options, bundle); });
  options = {};
  options.noising = SdsNoising::kNone;
  bundle.prediction_type = PredictionType::kVPrediction;
  expect_error(ExitCode::kUsage, {"sds.noising", "v-prediction"},
               [&] { check_sds_options(options, bundle); });
}

TEST(LatentMap, IsAFunctionOfTheSeedWithZeroBias) {
  const BundleLatent latent{.channels = 4, .size = 8, .scaling_factor = 1.0};
  const LatentMap first = make_latent_map(16, latent, 1, at::kCPU);
  EXPECT_TRUE(torch::equal(first.weight, make_latent_map(16, latent, 1, at::kCPU).weight));
  EXPECT_FALSE(torch::equal(first.weight, make_latent_map(16, latent, 2, at::kCPU).weight));
  EXPECT_EQ(first.bias.abs().max().item<float>(), 0.0F);
  EXPECT_LE(first.weight.abs().max().item<float>(), 0.25F);  // 1 / sqrt(16)
  EXPECT_EQ(first.weight.sizes(), (at::IntArrayRef{256, 16}));
}

TEST(MapToLatent, SeesTheEmbeddingAtUnitNormIfAsked) {
  const BundleLatent latent{.channels = 1, .size = 2, .scaling_factor = 1.0};
  const LatentMap map = make_latent_map(3, latent, 1, at::kCPU);
  const at::Tensor embeds = torch::tensor({{0.0F, 3.0F, 4.0F}});
  SdsOptions unit;
  unit.embedding = SdsEmbedding::kUnit;
  EXPECT_TRUE(
      torch::allclose(map_to_latent(map, embeds, unit, latent), map_to_latent(map, embeds / 5, {}, latent)));
}

}  // namespace
}  // namespace sdsclip

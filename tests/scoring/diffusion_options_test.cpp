#include "sdsclip/scoring/diffusion_options.h"

#include <gtest/gtest.h>

#include <functional>

#include "diffusion_settings.h"
#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

void expect_refused(std::initializer_list<std::string> parts,
                    const std::function<void(DiffusionScoreOptions&)>& change) {
  DiffusionScoreOptions options;
  change(options);
  expect_error(ExitCode::kUsage, parts, [&] { check_options(options); });
}

TEST(DiffusionScoreOptions, AreCheckedAloneAndTogether) {
  check_options(DiffusionScoreOptions());
  expect_refused({"--samples", "0"}, [](auto& options) { options.sampling.samples = 0; });
  expect_refused({"--t-range", "0.8 and 0.2"}, [](auto& options) {
    options.sampling.t_min = 0.8;
    options.sampling.t_max = 0.2;
  });
  expect_refused({"--t-range", "1.5"}, [](auto& options) { options.sampling.t_max = 1.5; });
  expect_refused({"--weight", "'learned:'"}, [](auto& options) { options.estimator.weight = "learned:"; });
  expect_refused({"adaptive", "even"}, [](auto& options) {
    options.adaptive.enabled = true;
    options.sampling.grid = TimestepGrid::kEven;
  });
  expect_refused({"--confidence"}, [](auto& options) {
    options.adaptive.enabled = true;
    options.adaptive.confidence = 1.0;
  });
  expect_refused({"--min-samples", "1"}, [](auto& options) {
    options.adaptive.enabled = true;
    options.adaptive.min_samples = 1;
  });
  expect_refused({"--budget", "--min-samples"}, [](auto& options) {
    options.adaptive.enabled = true;
    options.adaptive.budget = 3;
  });
  expect_refused({"its own range"}, [](auto& options) {
    options.sampling.grid = TimestepGrid::kDiffusionItm;
    options.sampling.t_max = 0.9;
  });
}

TEST(Presets, FollowTheirAuthors) {
  DiffusionScoreOptions options;
  options.sampling.samples = 10;
  apply_preset("diffusion-itm", options);
  EXPECT_EQ(options.sampling.grid, TimestepGrid::kDiffusionItm);
  EXPECT_EQ(options.estimator.norm, ErrorNorm::kL2Unsquared);
  EXPECT_TRUE(options.estimator.subtract_unconditional);
  EXPECT_EQ(options.resize, ResizeMode::kSquash);
  EXPECT_EQ(options.sampling.samples, 10);
  apply_preset("diffusion-classifier", options);
  EXPECT_EQ(options.sampling.grid, TimestepGrid::kEven);
  EXPECT_EQ(options.estimator.norm, ErrorNorm::kL2);
  EXPECT_FALSE(options.estimator.subtract_unconditional);
  EXPECT_EQ(options.resize, ResizeMode::kShortestEdge);
  apply_preset("paper", options);
  EXPECT_EQ(options.sampling.samples, 50);
  EXPECT_EQ(options.sampling.grid, TimestepGrid::kNested);
  expect_error(ExitCode::kUsage, {"'diffusion-imt'", "did you mean 'diffusion-itm'"},
               [&] { apply_preset("diffusion-imt", options); });
}

TEST(RunSettings, ReadBackToTheOptionsThatTheyState) {
  DiffusionScoreOptions options;
  options.sampling.seed = 7;
  options.sampling.t_min = 0.1;
  options.adaptive = {.enabled = true, .confidence = 0.9, .min_samples = 5, .budget = 12.5};
  options.estimator = {.norm = ErrorNorm::kL1, .weight = "snr"};
  const RunIdentity identity{.scorer = "",
                             .benchmark = "",
                             .model_name = "",
                             .model_sha256 = "",
                             .settings = identity_settings(options, {})};
  const DiffusionScoreOptions read = options_of_run(identity);
  EXPECT_EQ(read.sampling.seed, 7);
  EXPECT_EQ(read.sampling.t_min, 0.1);
  EXPECT_EQ(read.adaptive.budget, 12.5);
  EXPECT_EQ(read.estimator.norm, ErrorNorm::kL1);
  EXPECT_EQ(read.estimator.weight, "snr");
}

TEST(RunSettings, LeaveOutSettingsThatMayChangeOnResume) {
  DiffusionScoreOptions options;
  const auto before = identity_settings(options, {});
  options.sampling.samples = 99;
  options.estimator.norm = ErrorNorm::kL1;
  options.workers = 7;
  options.cache_mib = 1;
  EXPECT_EQ(identity_settings(options, {}), before);
  options.sampling.seed = 1;
  EXPECT_NE(identity_settings(options, {}), before);
}

}  // namespace
}  // namespace sdsclip

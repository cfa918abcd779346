#include "sdsclip/training/sweep.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using Strings = std::vector<std::string>;

Strings names_of(const std::vector<SweepPoint>& points) {
  Strings names;
  for (const SweepPoint& point : points) names.push_back(point.name);
  return names;
}

TEST(GridAxis, IsAKeyAndItsValues) {
  const GridAxis axis = parse_grid_axis("train.lr=1e-5, 5e-5");
  EXPECT_EQ(axis.key, "train.lr");
  EXPECT_EQ(axis.values, (Strings{"1e-5", "5e-5"}));
  EXPECT_EQ(parse_grid_axis("data.images=a=b").values, Strings{"a=b"});
}

TEST(GridAxis, CommasInsideListsAndQuotesDoNotSeparateValues) {
  EXPECT_EQ(parse_grid_axis("train.lora.targets=[attn],[attn, mlp]").values,
            (Strings{"[attn]", "[attn, mlp]"}));
  EXPECT_EQ(parse_grid_axis("clip='a,b',\"c]d\",e").values, (Strings{"'a,b'", "\"c]d\"", "e"}));
}

TEST(GridAxis, OtherFormsAreUsageErrors) {
  for (const char* text :
       {"train.lr", "=1", " =1", "train.lr=", "train.lr=1,,2", "train.lr=1,", "train.lr=1,1"}) {
    SCOPED_TRACE(text);
    expect_error(ExitCode::kUsage, {"--grid"}, [&] { (void)parse_grid_axis(text); });
  }
}

TEST(GridPoints, AreAllCombinationsTheLastAxisFirst) {
  const std::vector<GridAxis> axes = {{"train.lr", {"1e-5", "5e-5"}}, {"sds.lambda", {"0", "1e-4", "1e-3"}}};
  const std::vector<SweepPoint> points = grid_points(axes);
  EXPECT_EQ(names_of(points), (Strings{"train.lr=1e-5,sds.lambda=0", "train.lr=1e-5,sds.lambda=1e-4",
                                       "train.lr=1e-5,sds.lambda=1e-3", "train.lr=5e-5,sds.lambda=0",
                                       "train.lr=5e-5,sds.lambda=1e-4", "train.lr=5e-5,sds.lambda=1e-3"}));
  const std::vector<std::pair<std::string, std::string>> expected = {{"train.lr", "5e-5"},
                                                                     {"sds.lambda", "1e-4"}};
  EXPECT_EQ(points[4].settings, expected);
}

TEST(GridPoints, EachNameIsOneFolderForAnyValues) {
  const std::vector<GridAxis> axes = {{"clip", {"models/a", "models%2Fa", "../x y", "[a, b]"}}};
  EXPECT_EQ(names_of(grid_points(axes)),
            (Strings{"clip=models%2Fa", "clip=models%252Fa", "clip=..%2Fx%20y", "clip=%5Ba,%20b%5D"}));
}

TEST(GridPoints, MissingAndRepeatedAxesAndLongNamesAreUsageErrors) {
  const std::vector<GridAxis> twice = {{"seed", {"0"}}, {"seed", {"1"}}};
  const std::vector<GridAxis> too_long = {{"clip", {std::string(251, 'x')}}};
  const std::vector<GridAxis> just_short_enough = {{"clip", {std::string(250, 'x')}}};
  expect_error(ExitCode::kUsage, {"--grid", "none"}, [] { (void)grid_points({}); });
  expect_error(ExitCode::kUsage, {"seed", "twice"}, [&] { (void)grid_points(twice); });
  expect_error(ExitCode::kUsage, {"256", "255"}, [&] { (void)grid_points(too_long); });
  EXPECT_EQ(grid_points(just_short_enough).size(), 1U);
}

TEST(Sweep, ContinuesAfterAFailedPoint) {
  std::vector<std::size_t> ran;
  std::vector<std::size_t> pending;
  const auto run_point = [&](std::size_t index) -> std::optional<double> {
    ran.push_back(index);
    if (index == 1) throw runtime_failure("step 3: the loss is nan");
    return index == 3 ? std::nullopt : std::optional<double>(0.5);
  };
  const auto report = [&](std::span<const SweepOutcome> outcomes) {
    std::size_t count = 0;
    for (const SweepOutcome& outcome : outcomes) count += outcome.status == SweepStatus::kPending ? 1 : 0;
    pending.push_back(count);
  };
  const std::vector<SweepOutcome> outcomes = run_points(4, run_point, report);
  EXPECT_EQ(ran, (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(pending, (std::vector<std::size_t>{3, 2, 1, 0}));
  ASSERT_EQ(outcomes.size(), 4U);
  EXPECT_EQ(name_of(outcomes[0].status), "done");
  EXPECT_EQ(outcomes[0].value, 0.5);
  EXPECT_EQ(name_of(outcomes[1].status), "failed");
  EXPECT_EQ(outcomes[1].failure, "step 3: the loss is nan");
  EXPECT_EQ(name_of(outcomes[3].status), "done");
  EXPECT_FALSE(outcomes[3].value.has_value());
}

TEST(Sweep, EndsAtAnInterruptWithoutRecordingThatPoint) {
  std::vector<std::size_t> ran;
  int reports = 0;
  const auto run_point = [&](std::size_t index) -> std::optional<double> {
    ran.push_back(index);
    if (index == 1) throw Error(ExitCode::kInterrupted, "interrupted");
    return 1.0;
  };
  expect_error(ExitCode::kInterrupted, {"interrupted"},
               [&] { (void)run_points(4, run_point, [&](std::span<const SweepOutcome>) { ++reports; }); });
  EXPECT_EQ(ran, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(reports, 1);
}

TEST(BestOutcome, IsTheHighestOrLowestOfTheDoneTheFirstOfEquals) {
  const auto done = [](double value) { return SweepOutcome{SweepStatus::kDone, value, ""}; };
  const std::vector<SweepOutcome> outcomes = {SweepOutcome{SweepStatus::kFailed, std::nullopt, "nan"},
                                              done(0.3),
                                              done(0.7),
                                              done(0.7),
                                              done(0.1),
                                              SweepOutcome{}};
  EXPECT_EQ(best_outcome(outcomes, /*higher_is_better=*/true), 2U);
  EXPECT_EQ(best_outcome(outcomes, /*higher_is_better=*/false), 4U);
  EXPECT_EQ(best_outcome(std::span(outcomes).first(1), true), std::nullopt);
}

TEST(BestOutcome, LossesAreBetterLowerAndBenchmarksHigher) {
  EXPECT_FALSE(higher_is_better("train/last_loss/total"));
  EXPECT_TRUE(higher_is_better("winoground/text"));
  EXPECT_TRUE(higher_is_better("zeroshot/acc1"));
}

}  // namespace
}  // namespace sdsclip

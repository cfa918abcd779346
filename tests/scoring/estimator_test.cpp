#include "estimator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "diffusion_plan.h"
#include "scoring/case_tables.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/scoring/timestep_weights.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::swap_table;
using Timesteps = std::vector<std::int64_t>;

SamplingOptions sampling(TimestepGrid grid, std::int64_t samples) {
  return {.samples = samples, .seed = 0, .t_min = 0.0, .t_max = 1.0, .grid = grid};
}

TEST(NestedGrid, StartsTheSameForAnyNumberOfSamples) {
  Timesteps fifty = sample_timesteps(sampling(TimestepGrid::kNested, 50), 1000);
  fifty.resize(20);
  EXPECT_EQ(fifty, sample_timesteps(sampling(TimestepGrid::kNested, 20), 1000));
}

TEST(NestedGrid, HasOneSampleInEachEqualPartOfTheRange) {
  SamplingOptions options = sampling(TimestepGrid::kNested, 8);
  for (const std::int64_t samples : {1, 2, 4, 8, 64, 256}) {
    options.samples = samples;
    for (options.seed = 0; options.seed < 20; ++options.seed) {
      // Parts of the circle start at the first sample, to which the seed has shifted the grid.
      const Timesteps timesteps = sample_timesteps(options, 1'024'000);
      std::set<std::int64_t> parts;
      for (const std::int64_t t : timesteps) {
        // Half a part is added, so that rounding of t cannot move a sample into the previous part.
        const std::int64_t offset = t - timesteps.front() + 1'024'000 + 512'000 / samples;
        parts.insert(offset % 1'024'000 * samples / 1'024'000);
      }
      EXPECT_EQ(static_cast<std::int64_t>(parts.size()), samples) << "seed " << options.seed;
    }
  }
}

TEST(NestedGrid, IsUniformOverTheSeedsAtEveryPosition) {
  SamplingOptions options = sampling(TimestepGrid::kNested, 3);
  options.t_min = 0.2;
  options.t_max = 0.6;
  double sum = 0;
  for (options.seed = 0; options.seed < 4000; ++options.seed) {
    const Timesteps timesteps = sample_timesteps(options, 1000);
    for (const std::int64_t t : timesteps) {
      ASSERT_GE(t, 200);
      ASSERT_LT(t, 600);
    }
    sum += static_cast<double>(timesteps[2]);
  }
  // Standard error 400 / sqrt(12 * 4000) = 1.8.
  EXPECT_NEAR(sum / 4000, 399.5, 8.0);
}

TEST(EvenGrid, IsDiffusionClassifiers) {
  // Python: list(range(T // S // 2, T, T // S))[:S]
  EXPECT_EQ(sample_timesteps(sampling(TimestepGrid::kEven, 4), 1000), (Timesteps{125, 375, 625, 875}));
  EXPECT_EQ(sample_timesteps(sampling(TimestepGrid::kEven, 3), 1000), (Timesteps{166, 499, 832}));
  EXPECT_EQ(sample_timesteps(sampling(TimestepGrid::kEven, 1000), 1000).back(), 999);
  expect_error(ExitCode::kUsage, {"1001", "1000"},
               [] { sample_timesteps(sampling(TimestepGrid::kEven, 1001), 1000); });
}

TEST(DiffusionItmGrid, IsDiffusionItms) {
  // Python: list(range(10, 990, int(1000 / S)))
  EXPECT_EQ(sample_timesteps(sampling(TimestepGrid::kDiffusionItm, 10), 1000),
            (Timesteps{10, 110, 210, 310, 410, 510, 610, 710, 810, 910}));
  const Timesteps fifty = sample_timesteps(sampling(TimestepGrid::kDiffusionItm, 50), 1000);
  EXPECT_EQ(fifty.size(), 49u);
  EXPECT_EQ(fifty.back(), 970);
  EXPECT_EQ(sample_timesteps(sampling(TimestepGrid::kDiffusionItm, 60), 1000).size(), 62u);
  expect_error(ExitCode::kUsage, {"1000 timesteps", "500"},
               [] { sample_timesteps(sampling(TimestepGrid::kDiffusionItm, 10), 500); });
}

/// One image, one caption of two texts, two samples with hand-made errors at abar 0.8 and 0.2.
class Distances : public ::testing::Test {
 protected:
  Distances() {
    table_.images = {testing::image_named("x.png")};
    table_.captions = {{.id = "class", .texts = {"a", "b"}}};
    table_.cases = {{.id = "0", .images = {0}, .captions = {0}, .positives = {}, .tags = {}}};
    texts_ = unique_texts(table_);
    const std::vector<SampleErrorRow> rows = {{0, 0, 0, 4.0, 3.0}, {0, 0, 1, 16.0, 6.0},
                                              {0, 1, 0, 9.0, 5.0}, {0, 1, 1, 25.0, 8.0},
                                              {0, 2, 0, 1.0, 1.0}, {0, 2, 1, 4.0, 2.0}};
    for (const SampleErrorRow& row : rows) errors_.add(row);
  }
  double score(const EstimatorOptions& options, std::int64_t samples = 2) {
    return score_cases(table_, texts_, Estimator(options, points_), errors_, samples).at(0, 0, 0);
  }

  CaseTable table_;
  TextTable texts_;
  std::vector<SamplePoint> points_ = {{100, 0.8}, {900, 0.2}};
  ErrorTable errors_;
};

TEST_F(Distances, AreMeansOverSamplesAndTexts) {
  EXPECT_DOUBLE_EQ(score({}), -(4.0 + 16.0 + 9.0 + 25.0) / 4);
  EXPECT_DOUBLE_EQ(score({}, 1), -(4.0 + 9.0) / 2);
}

TEST_F(Distances, FollowTheNorm) {
  EXPECT_DOUBLE_EQ(score({.norm = ErrorNorm::kL1}), -(3.0 + 6.0 + 5.0 + 8.0) / 4);
  EXPECT_DOUBLE_EQ(score({.norm = ErrorNorm::kL2Unsquared}), -(2.0 + 4.0 + 3.0 + 5.0) / 4);
}

TEST_F(Distances, OfTheVelocityAreTheNoisesDividedByAbar) {
  EXPECT_DOUBLE_EQ(score({.error = ErrorTarget::kV}), -((4.0 + 9.0) / 0.8 + (16.0 + 25.0) / 0.2) / 4);
  EXPECT_DOUBLE_EQ(score({.norm = ErrorNorm::kL1, .error = ErrorTarget::kV}),
                   -((3.0 + 5.0) / std::sqrt(0.8) + (6.0 + 8.0) / std::sqrt(0.2)) / 4);
}

TEST_F(Distances, FollowTheWeights) {
  // SNR: 0.8 / 0.2 = 4 and 0.2 / 0.8 = 0.25.
  EXPECT_DOUBLE_EQ(score({.weight = "snr"}), -(4 * 6.5 + 0.25 * 20.5) / 4.25);
  const testing::TemporaryFolder folder;
  write_timestep_weights(folder / "w.json", {.train_timesteps = 1000, .weights = {1.5, 0.5}});
  EXPECT_DOUBLE_EQ(score({.weight = "learned:" + (folder / "w.json").string()}),
                   -(1.5 * 6.5 + 0.5 * 20.5) / 2);
}

TEST_F(Distances, CanHaveTheUnconditionalSubtracted) {
  EXPECT_DOUBLE_EQ(score({.subtract_unconditional = true}), -((6.5 - 1.0) + (20.5 - 4.0)) / 2);
  EXPECT_DOUBLE_EQ(score({.norm = ErrorNorm::kL2Unsquared, .subtract_unconditional = true}),
                   -((2.5 - 1.0) + (4.5 - 2.0)) / 2);
}

TEST_F(Distances, NeedAllSamples) {
  expect_error(ExitCode::kInput, {"has 2 samples", "expected 3", "--resume"}, [&] {
    points_.push_back({500, 0.5});
    score({}, 3);
  });
  expect_error(ExitCode::kInput, {"sample 3 follows 2"}, [&] { errors_.add({0, 0, 3, 1.0, 1.0}); });
}

TEST(Pairs, AppearOnceEachInTheOrderOfTheCases) {
  CaseTable table = swap_table(1);
  table.cases.push_back({.id = "again", .images = {1}, .captions = {1, 0}, .positives = {}, .tags = {}});
  const TextTable texts = unique_texts(table);
  const std::vector<ScoredPair> pairs = caption_pairs(table, texts);
  ASSERT_EQ(pairs.size(), 4u);
  EXPECT_EQ(pairs[1].image, 0);
  EXPECT_EQ(pairs[1].text, 1);
  const std::vector<ScoredPair> references = unconditional_pairs(texts, pairs);
  ASSERT_EQ(references.size(), 2u);
  EXPECT_EQ(references[1].image, 1);
  EXPECT_EQ(references[1].text, 2);
}

TEST(UniformUnits, OfFewerSamplesAreAmongThoseOfMore) {
  std::vector<ScoredPair> pairs;
  for (std::int32_t i = 0; i < 17; ++i) pairs.push_back({.image = i, .text = 2 * i});
  const EvaluationUnits few = uniform_units(pairs, 2, 16);
  const EvaluationUnits many = uniform_units(pairs, 5, 16);
  EXPECT_EQ(few.size, 9);  // two even blocks and not one of 16 and one of 1
  EXPECT_EQ(many.size, 9);
  ASSERT_EQ(few.units.size(), 4u);
  ASSERT_EQ(many.units.size(), 10u);
  for (std::size_t block = 0; block < 2; ++block) {
    for (std::size_t k = 0; k < 2; ++k) {
      const std::vector<Evaluation>& a = few.units[block * 2 + k];
      const std::vector<Evaluation>& b = many.units[block * 5 + k];
      ASSERT_EQ(a.size(), block == 0 ? 9u : 8u);
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].image, b[i].image);
        EXPECT_EQ(a[i].sample, static_cast<std::int32_t>(k));
        EXPECT_EQ(b[i].sample, static_cast<std::int32_t>(k));
      }
    }
  }
}

TEST(RoundUnits, FillBatchesAcrossPairsAndSamples) {
  const std::vector<PairSamples> work = {{{0, 1}, 4, 6}, {{0, 2}, 4, 6}, {{3, 4}, 4, 7}};
  const EvaluationUnits units = round_units(work, 4);
  EXPECT_EQ(units.size, 4);
  ASSERT_EQ(units.units.size(), 2u);
  EXPECT_EQ(units.units[0].size(), 4u);
  EXPECT_EQ(units.units[1].size(), 3u);
  EXPECT_EQ(units.units[0][3].image, 0);  // the next sample starts in the same batch
  EXPECT_EQ(units.units[0][3].sample, 5);
  EXPECT_EQ(units.units[1][2].image, 3);
  EXPECT_EQ(units.units[1][2].sample, 6);
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/data/sample_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace sdsclip {
namespace {

std::vector<std::int64_t> whole_order(std::int64_t size, std::uint64_t seed, std::int64_t epoch) {
  const SampleOrder order(size, seed, epoch);
  std::vector<std::int64_t> samples;
  for (std::int64_t position = 0; position < size; ++position) samples.push_back(order.sample_at(position));
  return samples;
}

TEST(SampleOrder, GivesEverySampleOnce) {
  for (const std::int64_t size : {1, 2, 3, 5, 16, 17, 100, 1000, 4097}) {
    const std::vector<std::int64_t> samples = whole_order(size, 7, 3);
    const std::set<std::int64_t> unique(samples.begin(), samples.end());
    EXPECT_EQ(static_cast<std::int64_t>(unique.size()), size);
    EXPECT_EQ(*unique.begin(), 0);
    EXPECT_EQ(*unique.rbegin(), size - 1);
  }
}

TEST(SampleOrder, DependsOnlyOnSeedAndEpoch) {
  EXPECT_EQ(whole_order(500, 1, 2), whole_order(500, 1, 2));
  EXPECT_NE(whole_order(500, 1, 2), whole_order(500, 1, 3));
  EXPECT_NE(whole_order(500, 1, 2), whole_order(500, 2, 2));
}

TEST(SampleOrder, ShowsNoTraceOfTheOriginalOrder) {
  // The correlation of position and sample has standard deviation 1 / sqrt(n) for a random permutation.
  constexpr std::int64_t kSize = 3000;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    const std::vector<std::int64_t> samples = whole_order(kSize, 0, epoch);
    const double middle = (kSize - 1) / 2.0;
    double covariance = 0;
    double variance = 0;
    for (std::int64_t i = 0; i < kSize; ++i) {
      const double position = static_cast<double>(i) - middle;
      covariance += position * (static_cast<double>(samples[static_cast<std::size_t>(i)]) - middle);
      variance += position * position;
    }
    EXPECT_LT(std::abs(covariance / variance), 4 / std::sqrt(static_cast<double>(kSize)));
  }
}

TEST(SampleOrder, ReachesMillionsOfSamplesWithoutAList) {
  const SampleOrder order(3'300'000'000, 11, 0);
  for (const std::int64_t position : {0L, 1L, 3'299'999'999L}) {
    EXPECT_GE(order.sample_at(position), 0);
    EXPECT_LT(order.sample_at(position), 3'300'000'000);
  }
}

TEST(ChooseText, ChoosesEachTextEquallyOften) {
  std::vector<int> counts(5);
  for (std::int64_t sample = 0; sample < 5000; ++sample) {
    ++counts[static_cast<std::size_t>(choose_text(5, 3, 0, sample, "data/caption"))];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 4 * std::sqrt(800.0));  // four standard deviations
}

TEST(ChooseText, ChangesWithTheEpoch) {
  std::set<std::int64_t> chosen;
  for (std::int64_t epoch = 0; epoch < 40; ++epoch)
    chosen.insert(choose_text(5, 3, epoch, 12, "data/caption"));
  EXPECT_EQ(chosen.size(), 5U);
  EXPECT_EQ(choose_text(1, 3, 0, 12, "data/caption"), 0);
}

}  // namespace
}  // namespace sdsclip

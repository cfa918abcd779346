#include "sdsclip/benchmarks/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bootstrap.h"
#include "sdsclip/base/random.h"
#include "support/expect_error.h"

namespace sdsclip {
namespace {

MetricMarks marks_of(const std::vector<double>& mark, const std::vector<std::int32_t>& group = {}) {
  MetricMarks marks{.name = "a/metric", .case_index = {}, .mark = mark, .group = group, .ties = 0};
  for (std::size_t i = 0; i < mark.size(); ++i) marks.case_index.push_back(static_cast<std::int32_t>(i));
  return marks;
}

MetricMarks accuracy(std::int64_t right, std::int64_t n) {
  std::vector<double> mark(static_cast<std::size_t>(n), 0.0);
  std::fill_n(mark.begin(), right, 1.0);
  return marks_of(mark);
}

// The smallest k whose cumulative probability under Binomial(n, p) reaches `quantile`.
double binomial_quantile(int n, double p, double quantile) {
  double cumulative = 0;
  for (int k = 0; k <= n; ++k) {
    cumulative += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) +
                           k * std::log(p) + (n - k) * std::log1p(-p));
    if (cumulative >= quantile) return k;
  }
  return n;
}

TEST(MetricValue, IsThePlainMeanWithoutGroups) {
  EXPECT_DOUBLE_EQ(metric_value(accuracy(3, 8)), 0.375);
}

TEST(MetricValue, AveragesGroupMeansWithGroups) {
  // Group 7 has 1 of 1 right, group 2 has 1 of 3. The macro average is (1 + 1/3) / 2, the plain mean 1/2.
  EXPECT_DOUBLE_EQ(metric_value(marks_of({1, 1, 0, 0}, {7, 2, 2, 2})), 2.0 / 3.0);
}

// The number of right answers in a resample is binomial, so the interval's ends are known exactly, within a
// step of 1/n for the 10,000 draws.
TEST(Bootstrap, AgreesWithTheExactBinomialDistribution) {
  for (const int right : {12, 124, 200, 390}) {
    const int n = 400;
    const Interval interval = bootstrap_interval(accuracy(right, n));
    const double p = right / 400.0;
    EXPECT_NEAR(interval.low * n, binomial_quantile(n, p, 0.025), 1.0) << right;
    EXPECT_NEAR(interval.high * n, binomial_quantile(n, p, 0.975), 1.0) << right;
  }
}

TEST(Bootstrap, HasNoWidthIfAllMarksAreEqual) {
  const Interval interval = bootstrap_interval(accuracy(30, 30));
  EXPECT_DOUBLE_EQ(interval.low, 1);
  EXPECT_DOUBLE_EQ(interval.high, 1);
}

TEST(Bootstrap, IsTheSameForTheSameSeedOnly) {
  const MetricMarks marks = marks_of({1, 0, 0, 1, 1, 0, 1, 0, 1}, {0, 0, 0, 1, 1, 1, 2, 2, 2});
  const Interval a = bootstrap_interval(marks, {.resamples = 101, .seed = 3, .confidence = 0.95});
  const Interval b = bootstrap_interval(marks, {.resamples = 101, .seed = 3, .confidence = 0.95});
  const Interval c = bootstrap_interval(marks, {.resamples = 101, .seed = 4, .confidence = 0.95});
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_TRUE(a.low != c.low || a.high != c.high);
}

// Two groups of one case each, one right and one wrong: a resample is {both right, both wrong} with
// probability 1/4 each and mixed (macro 1/2) otherwise, so the 2.5% and 97.5% quantiles are 0 and 1, and the
// quartile ends 0.5.
TEST(Bootstrap, RecomputesTheMacroAverageInEachResample) {
  const MetricMarks marks = marks_of({1, 0}, {0, 1});
  const Interval wide = bootstrap_interval(marks);
  EXPECT_DOUBLE_EQ(wide.low, 0);
  EXPECT_DOUBLE_EQ(wide.high, 1);
  const Interval narrow = bootstrap_interval(marks, {.resamples = 10'000, .seed = 0, .confidence = 0.4});
  EXPECT_DOUBLE_EQ(narrow.low, 0.5);
  EXPECT_DOUBLE_EQ(narrow.high, 0.5);
}

// Five equal marks per case carry the information of one: the interval is that of 100 cases, not of 500.
TEST(Bootstrap, DrawsWholeCases) {
  MetricMarks marks{.name = "clustered", .case_index = {}, .mark = {}, .group = {}, .ties = 0};
  for (std::int32_t index = 0; index < 100; ++index) {
    for (int k = 0; k < 5; ++k) {
      marks.case_index.push_back(index);
      marks.mark.push_back(index < 40 ? 1.0 : 0.0);
    }
  }
  const Interval interval = bootstrap_interval(marks);
  EXPECT_NEAR(interval.low * 100, binomial_quantile(100, 0.4, 0.025), 1.0);
  EXPECT_NEAR(interval.high * 100, binomial_quantile(100, 0.4, 0.975), 1.0);
}

TEST(Bootstrap, MergesCasesThatAddTheSame) {
  const auto kinds = count_kinds(marks_of({1, 0, 1, 1, 0}, {0, 0, 0, 1, 1}));
  EXPECT_EQ(kinds.size(), 4u);
  EXPECT_EQ(kinds.at({GroupShare{.group = 0, .marks = 1, .count = 1}}), 2);
}

TEST(Quantile, InterpolatesAsNumpyDoes) {
  // numpy.percentile([1, 2, 4, 8], [25, 50, 97.5]) -> 1.75, 3.0, 7.7
  const std::vector<double> values = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0.5), 3.0);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 0.975), 7.7);
  EXPECT_DOUBLE_EQ(sorted_quantile(values, 1.0), 8.0);
}

// scipy.stats.binomtest(k, n).proportion_ci(method="wilson") and (method="exact").
TEST(ProportionInterval, AgreesWithScipy) {
  EXPECT_NEAR(wilson_interval(76, 400).low, 0.15457385084236502, 1e-12);
  EXPECT_NEAR(wilson_interval(76, 400).high, 0.2313237716448988, 1e-12);
  EXPECT_NEAR(wilson_interval(0, 20).low, 0.0, 1e-12);
  EXPECT_NEAR(wilson_interval(0, 20).high, 0.16112515805281935, 1e-12);
  EXPECT_NEAR(wilson_interval(20, 20).low, 0.8388748419471808, 1e-12);
  EXPECT_NEAR(wilson_interval(20, 20).high, 1.0, 1e-12);
  EXPECT_NEAR(wilson_interval(13, 45).low, 0.17730082482849263, 1e-12);
  EXPECT_NEAR(wilson_interval(13, 45).high, 0.4336854057476157, 1e-12);
  EXPECT_NEAR(wilson_interval(390, 400).low, 0.9545984121283544, 1e-12);
  EXPECT_NEAR(wilson_interval(390, 400).high, 0.986364908254064, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(0, 4).low, 0.0, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(0, 4).high, 0.6023646356164858, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(3, 10).low, 0.06673951117773447, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(3, 10).high, 0.652452850060008, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(19, 19).low, 0.823533088192828, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(19, 19).high, 1.0, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(1, 19).low, 0.0013316288041848217, 1e-12);
  EXPECT_NEAR(clopper_pearson_interval(1, 19).high, 0.2602806541952142, 1e-12);
}

TEST(ProportionInterval, IsExactBelowTwentyCases) {
  EXPECT_EQ(proportion_interval(4, 4).low, clopper_pearson_interval(4, 4).low);
  EXPECT_NEAR(proportion_interval(4, 4).low, 0.3976353643835253, 1e-12);  // 0.025^(1/4)
  EXPECT_EQ(proportion_interval(4, 4).high, 1);
  EXPECT_EQ(proportion_interval(3, 19).high, clopper_pearson_interval(3, 19).high);
  EXPECT_EQ(proportion_interval(3, 20).high, wilson_interval(3, 20).high);
}

/// The probability under Binomial(n, p) of an interval that holds p.
double coverage(int n, double p) {
  double covered = 0;
  for (int k = 0; k <= n; ++k) {
    const Interval interval = proportion_interval(k, n);
    if (p < interval.low || p > interval.high) continue;
    covered += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) +
                        k * std::log(p) + (n - k) * std::log1p(-p));
  }
  return covered;
}

struct Coverage {
  double mean = 0;  // over p = 0.02, 0.04, ..., 0.98
  double least = 1;
};

Coverage coverage_of(int n) {
  Coverage result;
  for (int hundredths = 2; hundredths <= 98; hundredths += 2) {
    const double here = coverage(n, hundredths / 100.0);
    result.mean += here / 49;
    result.least = std::min(result.least, here);
  }
  return result;
}

// Right answers come in whole numbers, so no interval covers 95% at every p. docs/metrics.md has the table.
TEST(ProportionInterval, HasTheStatedCoverage) {
  for (const int n : {20, 25, 30, 50, 75, 100, 200, 400}) {
    const Coverage wilson = coverage_of(n);
    EXPECT_GT(wilson.mean, 0.93) << n;
    EXPECT_LT(wilson.mean, 0.97) << n;
    EXPECT_GT(wilson.least, n < 150 ? 0.89 : 0.93) << n;
  }
  for (const int n : {4, 6, 10, 15, 19}) EXPECT_GE(coverage_of(n).least, 0.95) << n;  // exact: never less
}

// By simulation: 2,000 samples per p. The share has a standard error of half a point at 95%.
TEST(ProportionInterval, CoverageInASimulationEqualsTheSums) {
  RandomSequence random(5, stream_of("metrics-test/coverage"));
  for (const int n : {4, 19, 20, 100, 400}) {
    for (const double p : {0.02, 0.31, 0.5, 0.98}) {
      int covered = 0;
      for (int trial = 0; trial < 2000; ++trial) {
        int right = 0;
        for (int i = 0; i < n; ++i) right += random.uniform(0, 1) < p ? 1 : 0;
        const Interval interval = proportion_interval(right, n);
        covered += interval.low <= p && p <= interval.high ? 1 : 0;
      }
      EXPECT_NEAR(covered / 2000.0, coverage(n, p), 0.025) << n << " " << p;
    }
  }
}

// 300 sets of 8 groups of 5 to 40 cases, each group with a probability of its own.
TEST(MacroInterval, CoversTheMeanOfTheGroupsProbabilities) {
  RandomSequence random(6, stream_of("metrics-test/macro"));
  int covered = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<double> mark;
    std::vector<std::int32_t> group;
    double truth = 0;
    for (std::int32_t g = 0; g < 8; ++g) {
      const double p = 0.2 + 0.08 * g;
      truth += p / 8;
      for (std::int32_t i = 0; i < 5 + 5 * g; ++i) {
        mark.push_back(random.uniform(0, 1) < p ? 1 : 0);
        group.push_back(g);
      }
    }
    const Interval interval = metric_interval(marks_of(mark, group), {.resamples = 1000});
    covered += interval.low <= truth && truth <= interval.high ? 1 : 0;
  }
  EXPECT_GT(covered, 0.88 * 300);  // 93% by 400 sets drawn in NumPy
  EXPECT_LT(covered, 0.98 * 300);
}

TEST(MetricInterval, IsTheProportionsWhereCasesAreIndependentAndTheBootstrapsElsewhere) {
  EXPECT_TRUE(is_proportion(accuracy(3, 8)));
  EXPECT_EQ(metric_interval(accuracy(30, 100)).low, wilson_interval(30, 100).low);
  const MetricMarks macro = marks_of({1, 0, 1, 0, 1}, {0, 0, 0, 1, 1});
  EXPECT_FALSE(is_proportion(macro));
  EXPECT_EQ(metric_interval(macro).low, bootstrap_interval(macro).low);
  MetricMarks clustered = accuracy(3, 8);
  clustered.case_index[1] = 0;
  EXPECT_FALSE(is_proportion(clustered));
  EXPECT_EQ(metric_interval(clustered).high, bootstrap_interval(clustered).high);
  EXPECT_FALSE(is_proportion(marks_of({0.5, 1})));
}

// Four cases are all right: in two groups of three and one, their mean has the variance of 2^2 / (1/3 + 1)
// = 3.
TEST(MetricInterval, HasAWidthIfAllMarksAreEqual) {
  EXPECT_NEAR(metric_interval(marks_of({1, 1, 1, 1}, {0, 0, 0, 1})).low, std::pow(0.025, 1.0 / 3), 1e-9);
  EXPECT_NEAR(metric_interval(marks_of({0, 0, 0, 0}, {0, 0, 0, 1})).high, 1 - std::pow(0.025, 1.0 / 3), 1e-9);
  MetricMarks clustered = accuracy(10, 10);
  for (std::size_t i = 5; i < 10; ++i) clustered.case_index[i] = clustered.case_index[i - 5];
  EXPECT_NEAR(metric_interval(clustered).low, std::pow(0.025, 1.0 / 5), 1e-9);
}

TEST(Summarise, NamesTheGroupsOfOneCase) {
  MetricMarks macro = marks_of({1, 0, 1, 1}, {4, 7, 7, 9});
  macro.group_names = {{4, "left of"}, {7, "on"}};
  EXPECT_EQ(summarise(macro).groups_of_one, (std::vector<std::string>{"left of", "9"}));
  EXPECT_TRUE(summarise(accuracy(1, 1)).groups_of_one.empty());
}

TEST(Summarise, KeepsNameCountAndTies) {
  MetricMarks marks = accuracy(1, 4);
  marks.ties = 2;
  const Metric metric = summarise(marks);
  EXPECT_EQ(metric.name, "a/metric");
  EXPECT_EQ(metric.n, 4);
  EXPECT_EQ(metric.ties, 2);
  EXPECT_DOUBLE_EQ(metric.value, 0.25);
}

// Sums of binomial coefficients as exact fractions, by Python:
// Fraction(2 * sum(comb(180, i) for i in range(60)), 2**180), and by hand: 2 * (1 + 20 + 190 + 1140 + 4845 +
// 15504) / 2^20 and 2 / 2^10.
TEST(McNemar, GivesTheExactTwoSidedProbability) {
  EXPECT_NEAR(exact_mcnemar(121, 59), 4.434449263755176e-06, 1e-16);
  EXPECT_NEAR(exact_mcnemar(59, 121), 4.434449263755176e-06, 1e-16);
  EXPECT_NEAR(exact_mcnemar(5, 15), 0.04138946533203125, 1e-12);
  EXPECT_NEAR(exact_mcnemar(0, 10), 0.001953125, 1e-14);
  EXPECT_EQ(exact_mcnemar(0, 0), 1);
  EXPECT_EQ(exact_mcnemar(10, 10), 1);
}

TEST(CompareMarks, PairsTheRunsCaseByCase) {
  const MetricMarks a = marks_of({1, 1, 0, 0, 1, 0});
  const MetricMarks b = marks_of({1, 0, 1, 1, 1, 0});
  const PairedDifference difference = compare_marks(a, b);
  EXPECT_EQ(difference.only_a_right, 1);
  EXPECT_EQ(difference.only_b_right, 2);
  EXPECT_DOUBLE_EQ(difference.difference, 4.0 / 6 - 3.0 / 6);
  EXPECT_DOUBLE_EQ(difference.p_value, 1);  // 2 * (1 + 3) / 8
  EXPECT_LE(difference.ci95.low, difference.difference);
  EXPECT_GE(difference.ci95.high, difference.difference);
}

// Cases on which both agree do not widen the interval. With one discordant case in 400, the paired interval
// is a few cases wide; the two accuracies' own intervals are 9 points wide.
TEST(CompareMarks, IsNarrowIfTheRunsAgree) {
  const MetricMarks a = accuracy(124, 400);
  const MetricMarks b = accuracy(125, 400);
  const PairedDifference difference = compare_marks(a, b);
  EXPECT_GE(difference.ci95.low, 0);
  EXPECT_LE(difference.ci95.high, 4.0 / 400);
}

// By hand: 8 cases to 2 is p = 2 * (1 + 10 + 45) / 1024; 24 to 2 is far below 0.05.
TEST(CompareMarks, ReportsNoGainThatMayBeChance) {
  std::vector<double> a(400, 0.0);
  std::vector<double> b(400, 0.0);
  std::fill_n(a.begin(), 2, 1.0);
  std::fill_n(b.begin() + 2, 8, 1.0);
  const PairedDifference six_cases = compare_marks(marks_of(a), marks_of(b));
  EXPECT_DOUBLE_EQ(six_cases.difference, 0.015);
  EXPECT_NEAR(six_cases.p_value, 112.0 / 1024, 1e-12);
  EXPECT_EQ(winner_of(six_cases), Winner::kNone);
  std::fill_n(b.begin() + 2, 24, 1.0);
  EXPECT_EQ(winner_of(compare_marks(marks_of(a), marks_of(b))), Winner::kB);
  EXPECT_EQ(winner_of(compare_marks(marks_of(b), marks_of(a))), Winner::kA);
}

// Four groups that all lean one way by one case each: the macro average's interval may leave 0 out, but four
// discordant cases decide nothing (p = 2 / 16).
TEST(CompareMarks, RequiresBothTheIntervalAndTheTest) {
  PairedDifference difference;
  difference.ci95 = {.low = 0.01, .high = 0.2};
  difference.p_value = 2.0 / 16;
  EXPECT_EQ(winner_of(difference), Winner::kNone);
  difference.p_value = 0.01;
  EXPECT_EQ(winner_of(difference), Winner::kB);
  difference.ci95 = {.low = -0.01, .high = 0.2};
  EXPECT_EQ(winner_of(difference), Winner::kNone);
}

TEST(CompareMarks, RefusesRunsOfOtherCases) {
  testing::expect_error(ExitCode::kInput, {"a/metric", "do not cover the same cases"},
                        [] { compare_marks(accuracy(1, 4), accuracy(1, 5)); });
}

}  // namespace
}  // namespace sdsclip

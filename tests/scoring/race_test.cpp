#include "race.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <map>

#include "paired_test.h"
#include "scoring/case_tables.h"
#include "sdsclip/base/random.h"
#include "sdsclip/benchmarks/text_table.h"

namespace sdsclip {
namespace {

using testing::swap_table;

// Two-sided critical values from Student's own table (Fisher and Yates).
TEST(StudentT, AgreesWithThePublishedTable) {
  EXPECT_NEAR(student_t_within(12.7062, 1), 0.95, 1e-5);
  EXPECT_NEAR(student_t_within(4.30265, 2), 0.95, 1e-5);
  EXPECT_NEAR(student_t_within(-3.18245, 3), 0.95, 1e-5);
  EXPECT_NEAR(student_t_within(2.77645, 4), 0.95, 1e-5);
  EXPECT_NEAR(student_t_within(2.57058, 5), 0.95, 1e-5);
  EXPECT_NEAR(student_t_within(2.22814, 10), 0.95, 1e-5);
  EXPECT_NEAR(student_t_within(31.5991, 2), 0.999, 1e-5);
  EXPECT_NEAR(student_t_within(3.09052, 1000), 0.99795, 1e-4);
  EXPECT_EQ(student_t_within(0, 7), 0);
  // scipy.stats.t.cdf(2, 4 / 3) and (2.5, 12.7), two-sided.
  EXPECT_NEAR(student_t_within(2, 4.0 / 3), 0.756806836146928, 1e-12);
  EXPECT_NEAR(student_t_within(2.5, 12.7), 0.9730370464808811, 1e-12);
}

TEST(SampledDifference, TakesItsVarianceFromSuccessiveDifferencesAlongTheTimestep) {
  const std::vector<SamplePoint> points = {{300, 0.5}, {100, 0.9}, {200, 0.7}};
  const std::vector<double> a = {5, 3, 6};
  const std::vector<double> b = {1, 2, 3};
  // Along t the differences are 1, 3, 4, and then 1 again: mean 8/3, variance (2^2 + 1^2 + 3^2) / 2 / 3.
  const SampledDifference difference = sampled_difference(a, b, points);
  EXPECT_DOUBLE_EQ(difference.mean, 8.0 / 3);
  EXPECT_DOUBLE_EQ(difference.variance, 7.0 / 3);
  EXPECT_EQ(difference.count, 3);
  EXPECT_DOUBLE_EQ(difference.degrees, 2);  // 2 * 14^2 / (4^2 + 1 + 9^2) = 4, of at most 3 - 1
  // t = 8/3 / sqrt(7/9) = 3.02372
  EXPECT_NEAR(certainty(difference), student_t_within(3.02372, 2), 1e-6);
  EXPECT_EQ(certainty(sampled_difference(a, a, points)), 1);
  EXPECT_EQ(certainty({.mean = 5, .variance = 0, .count = 1}), 0);
}

TEST(SampledDifference, HasFewDegreesOfFreedomIfOneSampleHasMostOfTheVariance) {
  std::vector<SamplePoint> points;
  std::vector<double> flat(30, 0.0);
  std::vector<double> peak(30, 0.0);
  for (std::int64_t k = 0; k < 30; ++k) points.push_back({.timestep = 10 * k, .alpha_cumprod = 0.5});
  peak[12] = 6;
  // Two terms of 18: variance 36 / 30, and 2 * 36^2 / (2 * 18^2) degrees.
  EXPECT_DOUBLE_EQ(sampled_difference(peak, flat, points).variance, 1.2);
  EXPECT_DOUBLE_EQ(sampled_difference(peak, flat, points).degrees, 4);
  for (std::size_t k = 0; k < 30; ++k) flat[k] = k % 2 == 0 ? 1 : -1;
  EXPECT_DOUBLE_EQ(sampled_difference(flat, peak, points).degrees > 4, true);
  EXPECT_EQ(sampled_difference(std::span(flat).first(2), std::span(peak).first(2), points).degrees, 1);
}

/// Differences of mean zero over the timesteps, and how far they vary there; `u` in [0, 1) is the timestep.
struct Scenario {
  const char* name;
  double (*mean)(double u);
  double (*deviation)(double u);
};
const double kPi = 3.14159265358979;
const std::array<Scenario, 5> kScenarios = {{
    {"noise", [](double) { return 0.0; }, [](double) { return 1.0; }},
    {"noise that falls twentyfold", [](double) { return 0.0; }, [](double u) { return std::exp(-3 * u); }},
    {"noise around a few timesteps", [](double) { return 0.0; },
     [](double u) { return 0.2 + 3 * std::exp(-100 * (u - 0.2) * (u - 0.2)); }},
    {"a trend and noise", [](double u) { return 3 * (u - 0.5); }, [](double) { return 1.0; }},
    {"a wave and noise", [](double u) { return 2 * std::sin(2 * kPi * u); }, [](double) { return 1.0; }},
}};

/// Two candidates that are equally good: of how many draws it is said with that confidence which is better.
double wrong_decisions(const Scenario& scenario, std::int64_t samples, double confidence) {
  constexpr std::int64_t kTrials = 4000;
  RandomSequence random(11, stream_of("race-test/decisions"));
  const std::vector<double> other(static_cast<std::size_t>(samples), 0.0);
  std::int64_t wrong = 0;
  for (std::int64_t trial = 0; trial < kTrials; ++trial) {
    std::vector<SamplePoint> points;
    std::vector<double> difference;
    std::vector<float> normals(static_cast<std::size_t>(samples));
    fill_normal(3, substream(stream_of("race-test/noise"), static_cast<std::uint64_t>(trial)), 0, normals);
    const std::int64_t shift = random.next_word() % 1'000'000;
    for (const std::int64_t t : sample_timesteps({.samples = samples, .seed = 0}, 1'000'000)) {
      points.push_back({.timestep = (t + shift) % 1'000'000, .alpha_cumprod = 0.5});
      const double u = static_cast<double>(points.back().timestep) / 1e6;
      const double normal = static_cast<double>(normals[difference.size()]);
      difference.push_back(scenario.mean(u) + scenario.deviation(u) * normal);
    }
    if (certainty(sampled_difference(difference, other, points)) >= confidence) ++wrong;
  }
  return static_cast<double>(wrong) / static_cast<double>(kTrials);
}

// The standard error of a share of 5% among 4,000 is 0.34 points. With n - 1 degrees of freedom and without
// the circle's last difference, it was 10% for noise that falls and 9% around a few timesteps
// (scripts/measure_decisions.py).
TEST(Decisions, At95PercentAreWrongInAtMostAboutOneOfTwenty) {
  for (const Scenario& scenario : kScenarios) {
    for (const std::int64_t samples : {2, 3, 4, 6, 9, 13, 19, 28, 42, 63}) {
      EXPECT_LT(wrong_decisions(scenario, samples, 0.95), 0.07) << scenario.name << " n " << samples;
    }
  }
}

TEST(Decisions, OfPlainNoiseAreWrongAsOftenAsTheySay) {
  for (const std::int64_t samples : {2, 3, 4, 6, 9, 13, 19, 28, 42, 63}) {
    const double wrong = wrong_decisions(kScenarios[0], samples, 0.95);
    EXPECT_GT(wrong, 0.035) << samples;
    EXPECT_LT(wrong, 0.06) << samples;
  }
}

TEST(DecisionRisk, IsTheChanceOfAWrongSignNowAndAfterwards) {
  // For a mean of 1 with variance 100 (1/10 - 1/100) = 9 it is Phi(-1/3) = 0.369441, and nothing once all 100
  // samples are there.
  const DecisionRisk small =
      decision_risk({.mean = 1, .variance = 100, .count = 10, .degrees = 6}, 100, 90, 100);
  EXPECT_NEAR(small.now, 0.369441, 1e-6);
  EXPECT_NEAR(small.then, 0, 1e-12);
  // Around a mean of zero it goes from 1/2 to arctan(sqrt(variance that stays / variance that goes)) / pi.
  const DecisionRisk open = decision_risk({.mean = 0, .variance = 1, .count = 10, .degrees = 6}, 1, 8, 100);
  EXPECT_EQ(open.now, 0.5);
  EXPECT_NEAR(open.then, std::atan(std::sqrt((1 / 18.0 - 0.01) / (0.1 - 1 / 18.0))) / 3.14159265, 2e-3);
  // A clear decision.
  EXPECT_LT(decision_risk({.mean = 10, .variance = 1, .count = 10, .degrees = 6}, 1, 5, 100).now, 1e-9);
}

TEST(DecisionRisk, UsesThePriorVarianceForOneSample) {
  // Two samples have one degree of freedom: (4 + 12) / 2 = 8, and 8 (1/2 - 1/4) = 2: Phi(-3 / sqrt(2)).
  EXPECT_NEAR(decision_risk({.mean = 3, .variance = 4, .count = 2, .degrees = 1}, 12, 1, 4).now, 0.0169474,
              1e-6);
}

TEST(UsualVariance, IsTheGeometricMeanOfThoseAboveZero) {
  const std::vector<SampledDifference> differences = {{.mean = 1, .variance = 2, .count = 2},
                                                      {.mean = 0, .variance = 0, .count = 2},
                                                      {.mean = 5, .variance = 32, .count = 2}};
  EXPECT_NEAR(usual_variance(differences), 8, 1e-12);
  EXPECT_EQ(usual_variance({}), 0);
}

std::vector<SamplePoint> spread_points(std::int64_t samples) {
  std::vector<SamplePoint> points;
  for (const std::int64_t t : sample_timesteps({.samples = samples}, 1000)) points.push_back({t, 0.5});
  return points;
}

/// Errors of all pairs from a function of (image, text, k).
ErrorTable errors_from(const std::vector<ScoredPair>& pairs, std::int64_t samples,
                       const std::function<double(std::int32_t, std::int32_t, std::int32_t)>& error) {
  ErrorTable errors;
  for (const ScoredPair& pair : pairs) {
    for (std::int32_t k = 0; k < samples; ++k) {
      errors.add({pair.image, pair.text, k, error(pair.image, pair.text, k), 0.0});
    }
  }
  return errors;
}

float noise_of(std::uint64_t stream, std::int32_t k) {
  std::array<float, 4> values{};
  fill_normal(7, substream(stream_of("race-test"), stream), 4 * static_cast<std::uint64_t>(k), values);
  return values[0];
}

/// One image with captions whose errors are 10 + offset + common noise + own noise.
CaseTable ranking_table(std::int32_t captions) {
  CaseTable table;
  table.images = {testing::image_named("x.png")};
  table.cases = {{.id = "0", .images = {0}, .captions = {}, .positives = {}, .tags = {}}};
  for (std::int32_t i = 0; i < captions; ++i) {
    table.captions.push_back({.id = std::to_string(i), .texts = {std::to_string(i)}});
  }
  return table;
}

struct RaceResult {
  CaseScores scores;
  std::int64_t evaluations = 0;
  std::map<std::uint64_t, std::int64_t> asked;  // samples of each pair
};

RaceResult run_race(const CaseTable& table, const ErrorTable& errors, std::int64_t samples,
                    const AdaptiveOptions& options) {
  const TextTable texts = unique_texts(table);
  const std::vector<SamplePoint> points = spread_points(samples);
  const Estimator estimator({}, points);
  Race race(table, texts, estimator, samples, options);
  std::map<std::uint64_t, std::int64_t> asked;
  for (std::vector<PairSamples> round = race.next_round(errors); !round.empty();
       round = race.next_round(errors)) {
    for (const PairSamples& item : round) {
      EXPECT_EQ(asked[item.pair.key()], item.first);
      asked[item.pair.key()] = item.last;
    }
  }
  return {
      .scores = race.scores(errors, estimator), .evaluations = race.evaluations(), .asked = std::move(asked)};
}

TEST(Race, StopsClearLosersAndContinuesWithTheRest) {
  const CaseTable table = ranking_table(3);
  const std::vector<ScoredPair> pairs = caption_pairs(table, unique_texts(table));
  const std::vector<double> offsets = {0.0, 0.001, 50.0};  // 0 against 1 is open, 2 is far behind
  const ErrorTable errors = errors_from(pairs, 64, [&](std::int32_t, std::int32_t text, std::int32_t k) {
    return 10 + offsets[static_cast<std::size_t>(text)] + 3 * noise_of(99, k) +
           noise_of(static_cast<std::uint64_t>(text), k);
  });
  const RaceResult result = run_race(table, errors, 64, {.enabled = true});
  EXPECT_EQ(result.asked.at(ScoredPair{0, 2}.key()), 4);
  EXPECT_EQ(result.asked.at(ScoredPair{0, 0}.key()), 64);
  EXPECT_EQ(result.asked.at(ScoredPair{0, 1}.key()), 64);
  EXPECT_EQ(result.evaluations, 132);
}

TEST(Race, GivesAStoppedCandidateTheBestOnesDistancePlusTheirSampledDifference) {
  const CaseTable table = ranking_table(2);
  const std::vector<ScoredPair> pairs = caption_pairs(table, unique_texts(table));
  // The common part of a sample's error falls with k; the difference is 5, 5.5, 4.5, 5 over the first four.
  const std::vector<double> differences = {5.0, 5.5, 4.5, 5.0};
  const ErrorTable errors = errors_from(pairs, 16, [&](std::int32_t, std::int32_t text, std::int32_t k) {
    return 100.0 - k + (text == 1 ? differences[static_cast<std::size_t>(k) % 4] : 0.0);
  });
  const RaceResult result = run_race(table, errors, 16, {.enabled = true, .confidence = 0.99});
  EXPECT_EQ(result.evaluations, 8);
  EXPECT_DOUBLE_EQ(result.scores.at(0, 0, 0), -98.5);  // mean of 100, 99, 98, 97
  EXPECT_DOUBLE_EQ(result.scores.at(0, 0, 1), -103.5);
}

TEST(Race, SpendsABudgetWhereTheDecisionIsMostDoubtful) {
  CaseTable table = ranking_table(2);
  table.images.push_back(testing::image_named("y.png"));
  table.cases.push_back({.id = "1", .images = {1}, .captions = {}, .positives = {}, .tags = {}});
  // Caption 1 less caption 0: 5.0, 5.5 for the first image and 0.5, -0.4 for the second.
  const std::vector<std::vector<double>> differences = {{5.0, 5.5}, {0.5, -0.4}};
  const ErrorTable errors =
      errors_from(caption_pairs(table, unique_texts(table)), 16,
                  [&](std::int32_t image, std::int32_t text, std::int32_t k) {
                    const std::vector<double>& own = differences[static_cast<std::size_t>(image)];
                    return 100.0 + (text == 1 ? own[static_cast<std::size_t>(k) % 2] : 0.0);
                  });
  // Two samples of all four pairs, and one more of two of them.
  const RaceResult result = run_race(
      table, errors, 16, {.enabled = true, .confidence = 0.9999, .min_samples = 2, .budget = 10.0 / 4});
  EXPECT_EQ(result.evaluations, 10);
  EXPECT_EQ(result.asked.at(ScoredPair{0, 0}.key()), 2);
  EXPECT_EQ(result.asked.at(ScoredPair{0, 1}.key()), 2);
  EXPECT_EQ(result.asked.at(ScoredPair{1, 0}.key()), 3);
  EXPECT_EQ(result.asked.at(ScoredPair{1, 1}.key()), 3);
}

TEST(Race, WithoutDecisionsIsTheUniformScore) {
  const CaseTable table = swap_table(3);
  const TextTable texts = unique_texts(table);
  const ErrorTable errors =
      errors_from(caption_pairs(table, texts), 20, [](std::int32_t image, std::int32_t text, std::int32_t k) {
        return 10 + noise_of(static_cast<std::uint64_t>(100 * image + text), k);
      });
  const RaceResult result = run_race(table, errors, 20, {.enabled = true, .confidence = 0.9999999});
  const CaseScores uniform = score_cases(table, texts, Estimator({}, spread_points(20)), errors, 20);
  EXPECT_EQ(result.evaluations, 3 * 4 * 20);
  for (std::size_t index = 0; index < 3; ++index) {
    for (std::int64_t row = 0; row < 2; ++row) {
      for (std::int64_t column = 0; column < 2; ++column) {
        EXPECT_EQ(result.scores.at(index, row, column), uniform.at(index, row, column));
      }
    }
  }
}

TEST(Race, EndsAtOnceIfCandidatesAreEqual) {
  const CaseTable table = ranking_table(2);
  const ErrorTable errors = errors_from(caption_pairs(table, unique_texts(table)), 64,
                                        [](std::int32_t, std::int32_t, std::int32_t k) { return 10.0 + k; });
  const RaceResult result = run_race(table, errors, 64, {.enabled = true});
  EXPECT_EQ(result.evaluations, 8);
  EXPECT_EQ(result.scores.at(0, 0, 0), result.scores.at(0, 0, 1));
}

TEST(Race, KeepsThePairsOfACrossedCaseTogether) {
  const CaseTable table = swap_table(1);
  // Rows are decided at once; the images of caption 0 differ only by noise.
  const ErrorTable errors = errors_from(caption_pairs(table, unique_texts(table)), 32,
                                        [](std::int32_t image, std::int32_t text, std::int32_t k) {
                                          const double offset = image == 0 && text == 1 ? 40 : 0;
                                          return 10 + offset + (image == 1 && text == 1 ? -40 : 0) +
                                                 noise_of(static_cast<std::uint64_t>(2 * image + text), k);
                                        });
  const RaceResult result = run_race(table, errors, 32, {.enabled = true, .confidence = 0.999999});
  for (const auto& [pair, samples] : result.asked) EXPECT_EQ(samples, result.asked.begin()->second);
  EXPECT_GT(result.asked.begin()->second, 4);
}

/// 600 swap cases whose differences are small against the noise: a hard set.
class HardCases : public ::testing::Test {
 protected:
  static constexpr std::int64_t kSamples = 250;

  HardCases() {
    errors_ = errors_from(caption_pairs(table_, texts_), kSamples,
                          [](std::int32_t image, std::int32_t text, std::int32_t k) {
                            const std::uint64_t pair = static_cast<std::uint64_t>(1000 * image + text);
                            const double effect = 0.5 * noise_of(1'000'000 + pair, 0);
                            return 20 + effect + 2 * noise_of(2'000'000, k) + noise_of(pair, k);
                          });
  }
  // The answers of a case: which caption for each image, which image for each caption.
  static std::array<bool, 4> answers(const CaseScores& scores, std::size_t index) {
    return {scores.at(index, 0, 0) > scores.at(index, 0, 1), scores.at(index, 1, 0) > scores.at(index, 1, 1),
            scores.at(index, 0, 0) > scores.at(index, 1, 0), scores.at(index, 0, 1) > scores.at(index, 1, 1)};
  }
  CaseScores uniform(std::int64_t samples) {
    return score_cases(table_, texts_, Estimator({}, spread_points(kSamples)), errors_, samples);
  }
  double agreement(const CaseScores& scores) {
    const CaseScores full = uniform(kSamples);
    double agreeing = 0;
    for (std::size_t index = 0; index < table_.cases.size(); ++index) {
      if (answers(scores, index) == answers(full, index)) ++agreeing;
    }
    return agreeing / static_cast<double>(table_.cases.size());
  }

  CaseTable table_ = swap_table(600);
  TextTable texts_ = unique_texts(table_);
  ErrorTable errors_;
};

TEST_F(HardCases, AgreeMoreThanUniformOnesAtEveryEqualBudget) {
  EXPECT_LT(agreement(uniform(1)), 0.85);
  for (const std::int64_t budget : {3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96}) {
    const AdaptiveOptions options{
        .enabled = true, .confidence = 0.9999, .min_samples = 2, .budget = static_cast<double>(budget)};
    const RaceResult result = run_race(table_, errors_, kSamples, options);
    EXPECT_LE(result.evaluations, budget * 2400);
    const double adaptive = agreement(result.scores);
    const double plain = agreement(uniform(budget));
    EXPECT_GT(adaptive, plain) << "budget " << budget;
  }
}

TEST_F(HardCases, AreDecidedTheSameIfMoreIsStored) {
  const AdaptiveOptions options{.enabled = true, .confidence = 0.99, .min_samples = 4};
  const RaceResult whole = run_race(table_, errors_, kSamples, options);
  // Only what a run would have stored.
  ErrorTable stored;
  for (const auto& [key, samples] : whole.asked) {
    const std::int32_t image = static_cast<std::int32_t>(key >> 32U);
    const std::int32_t text = static_cast<std::int32_t>(key & 0xFFFFFFFFU);
    for (std::int32_t k = 0; k < samples; ++k) {
      stored.add({image, text, k, errors_.of(image, text).l2[static_cast<std::size_t>(k)], 0.0});
    }
  }
  const RaceResult again = run_race(table_, stored, kSamples, options);
  EXPECT_EQ(again.asked, whole.asked);
  for (std::size_t index = 0; index < table_.cases.size(); ++index) {
    EXPECT_EQ(again.scores.at(index, 1, 0), whole.scores.at(index, 1, 0));
  }
}

}  // namespace
}  // namespace sdsclip

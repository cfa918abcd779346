#include "sdsclip/scoring/timestep_weights.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "estimator.h"
#include "scoring/case_tables.h"
#include "sdsclip/base/random.h"
#include "sdsclip/benchmarks/text_table.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::swap_table;
using testing::TemporaryFolder;

RunIdentity sampled_run() {
  return {
      .scorer = "diffusion", .benchmark = "winoground", .model_name = "", .model_sha256 = "", .settings = {}};
}

/// Four timesteps, one in each quarter of the range; wrong captions cost 1 more at 600, and noise elsewhere.
void fill_timesteps(ScoreStore& store, const CaseTable& table) {
  store.write_sample_points(std::vector<SamplePoint>{{600, 0.2}, {100, 0.9}, {300, 0.6}, {900, 0.1}});
  const TextTable texts = unique_texts(table);
  RandomSequence random(1, stream_of("weights-test"));
  std::vector<SampleErrorRow> rows;
  for (const ScoredPair& pair : caption_pairs(table, texts)) {
    rows.push_back(
        {pair.image, pair.text, 0, 10 + (pair.image == pair.text ? 0 : 1) + random.uniform(-0.5, 0.5), 0});
    for (std::int32_t k = 1; k < 4; ++k) rows.push_back({pair.image, pair.text, k, random.uniform(0, 20), 0});
  }
  store.write_errors(rows, {});
}

double accuracy(const CaseTable& table, const ScoreStore& store, const std::string& weight) {
  const Estimator estimator({.weight = weight}, store.read_sample_points());
  const CaseScores scores =
      score_cases(table, unique_texts(table), estimator, error_table(store.read_errors()), 4);
  double right = 0;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    right += scores.at(index, 0, 0) > scores.at(index, 0, 1) ? 1 : 0;
  }
  return right / static_cast<double>(table.cases.size());
}

TEST(LearnedWeights, FindTheTimestepThatDistinguishesCaptions) {
  const TemporaryFolder folder;
  const CaseTable table = swap_table(200);
  ScoreStore store(folder / "scores.sqlite", sampled_run(), table, StoreOpening::kNew);
  fill_timesteps(store, table);
  const StoredRun run{.table = &table, .store = &store};
  const TimestepWeights weights = fit_timestep_weights(std::span(&run, 1), {.bins = 4, .steps = 2000});
  ASSERT_EQ(weights.weights.size(), 4u);
  EXPECT_DOUBLE_EQ(std::accumulate(weights.weights.begin(), weights.weights.end(), 0.0), 4.0);
  for (const std::size_t other : {0, 1, 3}) EXPECT_GT(weights.weights[2], 5 * weights.weights[other]);
  write_timestep_weights(folder / "w.json", weights);
  const std::string learned = "learned:" + (folder / "w.json").string();
  EXPECT_GT(accuracy(table, store, learned), accuracy(table, store, "uniform") + 0.15);
}

TEST(LearnedWeights, NeedARightAndAWrongCaption) {
  const TemporaryFolder folder;
  CaseTable table = swap_table(1);
  table.cases[0].images = {0};
  table.cases[0].captions = {0};
  ScoreStore store(folder / "scores.sqlite", sampled_run(), table, StoreOpening::kNew);
  store.write_sample_points(std::vector<SamplePoint>{{600, 0.2}});
  store.write_errors(std::vector<SampleErrorRow>{{0, 0, 0, 1.0, 1.0}}, {});
  const StoredRun run{.table = &table, .store = &store};
  expect_error(ExitCode::kInput, {"right and a wrong caption"},
               [&] { fit_timestep_weights(std::span(&run, 1)); });
}

TEST(WeightsFile, ReadsBackAndGivesEachTimestepItsBin) {
  const TemporaryFolder folder;
  write_timestep_weights(folder / "w.json", {.train_timesteps = 1000, .weights = {0.5, 1.0, 1.5}});
  const TimestepWeights weights = read_timestep_weights(folder / "w.json");
  EXPECT_EQ(weights.at(0), 0.5);
  EXPECT_EQ(weights.at(333), 0.5);
  EXPECT_EQ(weights.at(334), 1.0);
  EXPECT_EQ(weights.at(999), 1.5);
}

TEST(WeightsFile, IsReadStrictly) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "w.json";
  const auto expect_refused = [&](const std::string& text, std::initializer_list<std::string> parts) {
    std::ofstream(path) << text;
    expect_error(ExitCode::kInput, parts, [&] { read_timestep_weights(path); });
  };
  expect_refused("nonsense", {"w.json"});
  expect_refused(R"({"train_timesteps": 1000, "weight": [1]})", {"w.json", "weight", "weights"});
  expect_refused(R"({"train_timesteps": 1000, "weights": []})", {"at least one"});
  expect_refused(R"({"train_timesteps": 1000, "weights": [1, 0]})", {"above 0"});
  expect_refused(R"({"train_timesteps": 0, "weights": [1]})", {"train_timesteps", "0"});
  expect_refused(R"({"train_timesteps": 9223372036854775807, "weights": [0.5, 1.5, 1]})",
                 {"train_timesteps", "9223372036854775807", "1000000"});
  expect_refused(R"({"train_timesteps": 2, "weights": [1, 1, 1]})", {"weights: got 3", "per timestep (2)"});
  expect_refused(R"({"train_timesteps": 1000, "weights": [1e999]})", {"w.json", "1e999"});
}

}  // namespace
}  // namespace sdsclip

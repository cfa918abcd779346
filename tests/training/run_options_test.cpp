// Options beyond plain training steps: evaluation, early stopping, automatic micro-batches, fp16, and the
// losses beside L_CLIP and L_SDS.

#include <gtest/gtest.h>
#include <torch/script.h>

#include <nlohmann/json.hpp>
#include <set>

#include "sdsclip/base/files.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/training/run_log.h"
#include "sdsclip/training/trainer.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "training/small_runs.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::lines_of;
using testing::run_in;
using testing::TemporaryFolder;

const fs::path& options_world() {
  static const testing::SmallWorld small(/*train=*/24, /*winoground=*/12);
  return small.path;
}

TrainConfig options_config() {
  TrainConfig config;
  config.clip = "models/shapes-clip";
  config.data.annotations = (options_world() / "coco/annotations/captions_train2017.json").string();
  config.data.images = (options_world() / "coco/train2017").string();
  config.train.steps = 6;
  config.train.batch_size = 4;
  config.train.lr = 1e-3;
  config.train.checkpoint_every = 2;
  config.sds.lambda = 0;
  return config;
}

TrainConfig evaluating_config() {
  TrainConfig config = options_config();
  config.train.evaluate_every = 2;
  config.evaluate.benchmarks = {"winoground"};
  config.evaluate.data = options_world().string();
  return config;
}

std::set<std::string> checkpoints_of(const fs::path& out) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(out / "checkpoints")) {
    names.insert(entry.path().filename());
  }
  return names;
}

TEST(TrainEvaluation, ScoresTheCurrentModelAtEachEvaluation) {
  const TemporaryFolder folder;
  const TrainConfig config = evaluating_config();
  const TrainSummary summary = train(config, run_in(folder / "run"));
  const std::vector<nlohmann::json> lines = lines_of(folder / "run" / "evaluations.jsonl");
  ASSERT_EQ(lines.size(), 3U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["step"], 2 * (i + 1));
    EXPECT_EQ(lines[i]["metrics"]["winoground/text"]["n"], 12);
  }
  // The last one is that of the weights that the run leaves.
  ClipModel tuned(read_bundle(config.clip, BundleKind::kClip), {});
  load_tuned(tuned, folder / "run" / "tuned.safetensors");
  const std::vector<Metric> expected = Evaluation(config.evaluate).run(tuned, folder / "scratch");
  ASSERT_EQ(summary.evaluation.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(summary.evaluation[i].name, expected[i].name);
    EXPECT_EQ(summary.evaluation[i].value, expected[i].value);
    EXPECT_EQ(lines.back()["metrics"][expected[i].name]["value"], expected[i].value);
  }
  EXPECT_FALSE(fs::exists(folder / "scratch"));
  EXPECT_FALSE(fs::exists(folder / "run" / "evaluation.tmp"));
}

TEST(TrainEvaluation, KeepsToTheTrainingDatasRulesForImages) {
  const TemporaryFolder folder;
  TrainConfig config = evaluating_config();
  config.evaluate.data = (folder / "world").string();
  fs::create_directories(folder / "world/winoground");
  fs::copy(options_world() / "winoground/examples.jsonl", folder / "world/winoground");
  fs::create_directory_symlink(fs::absolute(options_world() / "winoground/images"),
                               folder / "world/winoground/images");
  EXPECT_FALSE(Evaluation(config.evaluate, config.data).metric_names().empty());
  config.data.confine = true;
  expect_error(ExitCode::kInput, {"winoground"},
               [&] { (void)Evaluation(config.evaluate, config.data).metric_names(); });
}

TEST(TrainEvaluation, ChangesNoStep) {
  const TemporaryFolder folder;
  TrainConfig config = evaluating_config();
  train(config, run_in(folder / "evaluated"));
  config.evaluate = {};
  config.train.evaluate_every = 0;
  train(config, run_in(folder / "plain"));
  EXPECT_EQ(read_file(folder / "evaluated" / "tuned.safetensors"),
            read_file(folder / "plain" / "tuned.safetensors"));
}

TEST(TrainEvaluation, StopsEarlyAndKeepsTheBestCheckpointAndWeights) {
  const TemporaryFolder folder;
  TrainConfig config = evaluating_config();
  config.train.lr = 1e-12;  // nothing changes, so no evaluation beats the first one
  config.train.steps = 20;
  config.train.keep_checkpoints = 1;
  config.evaluate.patience = 2;
  const TrainSummary summary = train(config, run_in(folder / "run"));
  EXPECT_EQ(summary.steps, 6);
  EXPECT_EQ(summary.best_step, 2);
  EXPECT_EQ(checkpoints_of(folder / "run"), (std::set<std::string>{"step-2", "step-6"}));
  EXPECT_TRUE(fs::exists(folder / "run" / "best.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "run" / "tuned.safetensors"));

  const TrainSummary again = train(config, run_in(folder / "run", /*resume=*/true));
  EXPECT_EQ(again.steps_this_process, 0);
  EXPECT_EQ(again.steps, 6);
  ASSERT_FALSE(again.evaluation.empty());
  EXPECT_EQ(again.evaluation.front().value, summary.evaluation.front().value);
}

TEST(TrainEvaluation, ResumedBetweenAStepAndItsEvaluationEqualsTheUninterruptedRun) {
  const TemporaryFolder folder;
  TrainConfig config = evaluating_config();
  config.train.keep_checkpoints = 10;
  train(config, run_in(folder / "whole"));
  fs::copy(folder / "whole", folder / "killed", fs::copy_options::recursive);
  fs::remove(folder / "killed" / "tuned.safetensors");
  fs::remove(folder / "killed" / "best.safetensors");
  fs::remove_all(folder / "killed" / "checkpoints" / "step-6");
  // The state after an interrupt during the evaluation of step 4.
  const fs::path file = folder / "killed" / "checkpoints" / "step-4" / "state.json";
  nlohmann::json state = nlohmann::json::parse(read_file(file));
  const nlohmann::json before =
      nlohmann::json::parse(read_file(folder / "killed" / "checkpoints" / "step-2" / "state.json"));
  for (const char* key : {"evaluated_step", "best_step", "best_value", "worse_in_a_row"}) {
    state[key] = before[key];
  }
  write_file_atomically(file, state.dump());
  train(config, run_in(folder / "killed", /*resume=*/true));
  for (const char* name : {"tuned.safetensors", "evaluations.jsonl"}) {
    EXPECT_EQ(read_file(folder / "killed" / name), read_file(folder / "whole" / name)) << name;
  }
}

TEST(TrainEvaluation, ThatFailsLosesNoStep) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "data");
  fs::copy(options_world() / "winoground", folder / "data" / "winoground", fs::copy_options::recursive);
  TrainConfig config = evaluating_config();
  config.train.checkpoint_every = 0;
  config.train.evaluate_every = 4;
  config.train.keep_checkpoints = 1;
  train(config, run_in(folder / "whole"));
  config.evaluate.data = (folder / "data").string();
  const fs::path image = fs::directory_iterator(folder / "data" / "winoground" / "images")->path();
  const std::string bytes = read_file(image);
  write_file_atomically(image, bytes.substr(0, bytes.size() / 2));
  expect_error(ExitCode::kInput, {image.filename().string()}, [&] { train(config, run_in(folder / "run")); });
  EXPECT_EQ(checkpoints_of(folder / "run"), std::set<std::string>{"step-4"});
  write_file_atomically(image, bytes);
  EXPECT_EQ(train(config, run_in(folder / "run", /*resume=*/true)).steps_this_process, 2);
  EXPECT_EQ(read_file(folder / "run" / "tuned.safetensors"),
            read_file(folder / "whole" / "tuned.safetensors"));
  EXPECT_EQ(read_file(folder / "run" / "evaluations.jsonl"),
            read_file(folder / "whole" / "evaluations.jsonl"));
}

TEST(TrainEvaluation, KnowsItsMetricsBeforeTheFirstStep) {
  const TemporaryFolder folder;
  const EvaluateOptions options = evaluating_config().evaluate;
  const Evaluation evaluation(options);
  const ClipModel model(read_bundle("models/shapes-clip", BundleKind::kClip), {});
  std::vector<std::string> names;
  for (const Metric& metric : evaluation.run(model, folder / "scratch")) names.push_back(metric.name);
  EXPECT_EQ(evaluation.metric_names(), names);
  TrainConfig config = evaluating_config();
  config.evaluate.metric = "winoground/grup";
  expect_error(ExitCode::kUsage, {"evaluate.metric", "did you mean 'winoground/group'"},
               [&] { train(config, run_in(folder / "run")); });
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(TrainEvaluation, RefusesInvalidOptions) {
  const TemporaryFolder folder;
  TrainConfig config = evaluating_config();
  config.evaluate.metric = "winoground/txt";
  expect_error(ExitCode::kUsage, {"evaluate.metric", "winoground/txt", "winoground/text"},
               [&] { train(config, run_in(folder / "a")); });
  config.evaluate = {.benchmarks = {"winogrand"}};
  expect_error(ExitCode::kUsage, {"winogrand", "winoground"}, [&] { train(config, run_in(folder / "b")); });
  config.evaluate = {.benchmarks = {"winoground"}, .data = (folder / "none").string()};
  expect_error(ExitCode::kUsage, {"evaluate.data", "none"}, [&] { train(config, run_in(folder / "c")); });
  config.evaluate = {.patience = 2};
  expect_error(ExitCode::kUsage, {"evaluate.benchmarks"}, [&] { train(config, run_in(folder / "d")); });
  EXPECT_FALSE(fs::exists(folder / "b"));
}

TEST(TrainAuto, ChoosesTheMicroBatchesOncePerRun) {
  const TemporaryFolder folder;
  TrainConfig config = options_config();
  config.teacher = "models/shapes-teacher";
  config.sds.lambda = 0.05;
  config.sds.samples = 2;
  config.train.micro_batch_clip = config.train.micro_batch_unet = kAuto;
  train(config, run_in(folder / "run"));
  const nlohmann::json choices = nlohmann::json::parse(read_file(folder / "run" / "auto.json"));
  // This machine's memory holds the whole of so small a batch.
  EXPECT_EQ(choices["micro_batch_clip"], 4);
  EXPECT_EQ(choices["micro_batch_unet"], 8);

  // The trial steps leave nothing behind: the run equals one with these numbers.
  TrainConfig given = config;
  given.train.micro_batch_clip = 4;
  given.train.micro_batch_unet = 8;
  train(given, run_in(folder / "given"));
  EXPECT_EQ(read_file(folder / "run" / "tuned.safetensors"),
            read_file(folder / "given" / "tuned.safetensors"));

  // A resumed run uses the first choice, whatever memory is free now.
  fs::remove_all(folder / "run" / "checkpoints");
  write_file_atomically(folder / "run" / "auto.json", R"({"micro_batch_clip": 2, "micro_batch_unet": 3})");
  train(config, run_in(folder / "run", /*resume=*/true));
  given.train.micro_batch_clip = 2;
  given.train.micro_batch_unet = 3;
  train(given, run_in(folder / "smaller"));
  EXPECT_EQ(read_file(folder / "run" / "tuned.safetensors"),
            read_file(folder / "smaller" / "tuned.safetensors"));
}

TEST(TrainPrecision, Fp16WithLossScaleIsCloseToFp32AndResumesToTheSameBits) {
  const TemporaryFolder folder;
  TrainConfig config = options_config();
  config.teacher = "models/shapes-teacher";
  config.sds.lambda = 0.05;
  config.sds.t_min = 0.3;
  train(config, run_in(folder / "fp32"));
  config.train.precision = Precision::kFp16;
  train(config, run_in(folder / "fp16"));
  const std::vector<nlohmann::json> exact = lines_of(folder / "fp32" / "log.jsonl");
  const std::vector<nlohmann::json> scaled = lines_of(folder / "fp16" / "log.jsonl");
  ASSERT_EQ(exact.size(), scaled.size());
  std::size_t taken = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_GE(scaled[i]["loss_scale"].get<double>(), 2.0);
    if (scaled[i].contains("skipped")) continue;
    ++taken;
    for (const char* term : {"contrastive", "sds"}) {
      const double expected = exact[i]["gradient"][term];
      EXPECT_NEAR(scaled[i]["gradient"][term].get<double>(), expected, 0.05 * expected) << term << " " << i;
    }
  }
  EXPECT_GE(taken, 3U);

  fs::copy(folder / "fp16", folder / "killed", fs::copy_options::recursive);
  fs::remove_all(folder / "killed" / "checkpoints" / "step-6");
  train(config, run_in(folder / "killed", /*resume=*/true));
  EXPECT_EQ(read_file(folder / "killed" / "tuned.safetensors"),
            read_file(folder / "fp16" / "tuned.safetensors"));
}

TEST(TrainFeature, TrainsAMapOfItsOwnAndResumesToTheSameBits) {
  const TemporaryFolder folder;
  TrainConfig config = options_config();
  config.teacher = "models/shapes-teacher";
  config.feature.weight = 0.01;
  config.feature.block = 2;
  train(config, run_in(folder / "whole"));
  std::set<std::string> maps;
  for (const NamedTensor& tensor : read_safetensors(folder / "whole" / "tuned.safetensors").tensors) {
    if (tensor.first.find(".h_w.") != std::string::npos) maps.insert(tensor.first);
  }
  EXPECT_EQ(maps, (std::set<std::string>{"feature.h_w.bias", "feature.h_w.weight"}));
  for (const nlohmann::json& line : lines_of(folder / "whole" / "log.jsonl")) {
    EXPECT_NEAR(line["loss"]["total"].get<double>(),
                line["loss"]["contrastive"].get<double>() + 0.01 * line["loss"]["feature"].get<double>(),
                1e-9);
  }
  fs::copy(folder / "whole", folder / "killed", fs::copy_options::recursive);
  fs::remove_all(folder / "killed" / "checkpoints" / "step-6");
  train(config, run_in(folder / "killed", /*resume=*/true));
  EXPECT_EQ(read_file(folder / "killed" / "tuned.safetensors"),
            read_file(folder / "whole" / "tuned.safetensors"));

  // `eval --tuned` passes over the maps.
  ClipModel tuned(read_bundle(config.clip, BundleKind::kClip), {});
  load_tuned(tuned, folder / "whole" / "tuned.safetensors");
}

TEST(TrainCheckpoints, AreAlsoWrittenByTheClock) {
  const TemporaryFolder folder;
  TrainConfig config = options_config();
  config.train.checkpoint_every = 0;
  config.train.checkpoint_minutes = 1e-9;
  config.train.keep_checkpoints = 10;
  train(config, run_in(folder / "run"));
  EXPECT_EQ(checkpoints_of(folder / "run").size(), 6U);
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/training/trainer.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sdsclip/base/files.h"
#include "sdsclip/models/safetensors.h"
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

constexpr std::int64_t kSteps = 10;

/// One small world for all tests of this file.
const fs::path& world() {
  static const testing::SmallWorld small(/*train=*/64, /*winoground=*/1);
  return small.path;
}

TrainConfig small_config() {
  TrainConfig config;
  config.clip = "models/shapes-clip";
  config.teacher = "models/shapes-teacher";
  config.data.annotations = (world() / "coco/annotations/captions_train2017.json").string();
  config.data.images = (world() / "coco/train2017").string();
  config.train.steps = kSteps;
  config.train.batch_size = 6;
  config.train.micro_batch_clip = 4;
  config.train.micro_batch_unet = 4;
  config.train.lr = 1e-3;
  config.train.checkpoint_every = 4;
  config.train.tune_temperature = true;
  config.sds.lambda = 0.05;
  return config;
}

/// The parts of a log that do not depend on time.
std::vector<nlohmann::json> untimed_log(const fs::path& out) {
  std::vector<nlohmann::json> lines = lines_of(out / "log.jsonl");
  for (nlohmann::json& line : lines) {
    for (const char* key : {"images_per_second", "wait_share", "peak_memory_bytes"}) line.erase(key);
  }
  return lines;
}

/// One run of `small_config`, made once for all tests of this file, in a copy at `out`.
TrainSummary copy_finished_run(const fs::path& out) {
  static const TemporaryFolder folder;
  static const TrainSummary summary = train(small_config(), run_in(folder / "run"));
  fs::copy(folder / "run", out, fs::copy_options::recursive);
  return summary;
}

/// The run's folder as a kill between its newest checkpoint and its end leaves it.
void forget_end(const fs::path& out) {
  fs::remove(out / "tuned.safetensors");
}

TEST(Train, ChangesEveryTrainedTensorAndNoOther) {
  const TemporaryFolder folder;
  const TrainConfig config = small_config();
  copy_finished_run(folder / "run");
  ClipModel before(read_bundle(config.clip, BundleKind::kClip), {});
  std::set<std::string> changed;
  for (const NamedTensor& tensor : read_safetensors(folder / "run" / "tuned.safetensors").tensors) {
    changed.insert(tensor.first);
  }
  std::set<std::string> expected = {"sds.h_w.weight", "sds.h_w.bias"};
  for (const NamedTensor& tensor : select_trainable(before, Tune::kLayerNorm, true))
    expected.insert(tensor.first);
  EXPECT_EQ(changed, expected);

  ClipModel after(read_bundle(config.clip, BundleKind::kClip), {});
  load_tuned(after, folder / "run" / "tuned.safetensors");
  const std::vector<NamedTensor> old_parameters = before.parameters();
  const std::vector<NamedTensor> new_parameters = after.parameters();
  for (std::size_t i = 0; i < old_parameters.size(); ++i) {
    EXPECT_EQ(torch::equal(old_parameters[i].second, new_parameters[i].second),
              !expected.contains(old_parameters[i].first))
        << old_parameters[i].first;
  }
}

TEST(Train, ResumedFromAnyCheckpointEqualsTheUninterruptedRun) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.keep_checkpoints = 10;
  train(config, run_in(folder / "whole"));
  for (const std::int64_t step : {4, 8}) {
    // A killed run leaves some checkpoints, and a log that may be ahead of them or end within a line.
    const fs::path out = folder / ("from-" + std::to_string(step));
    fs::copy(folder / "whole", out, fs::copy_options::recursive);
    fs::remove(out / "tuned.safetensors");
    for (std::int64_t later : {4, 8, 10}) {
      if (later > step) fs::remove_all(out / "checkpoints" / ("step-" + std::to_string(later)));
    }
    const std::string log = read_file(out / "log.jsonl");
    write_file_atomically(out / "log.jsonl", log.substr(0, log.size() - 30));
    const TrainSummary summary = train(config, run_in(out, /*resume=*/true));
    EXPECT_EQ(summary.steps_this_process, kSteps - step);
    EXPECT_EQ(read_file(out / "tuned.safetensors"), read_file(folder / "whole" / "tuned.safetensors"));
    EXPECT_EQ(untimed_log(out), untimed_log(folder / "whole"));
  }
}

TEST(Train, ResumingAFinishedRunReturnsItsLastLosses) {
  const TemporaryFolder folder;
  const TrainConfig config = small_config();
  const TrainSummary first = copy_finished_run(folder / "run");
  const TrainSummary again = train(config, run_in(folder / "run", /*resume=*/true));
  EXPECT_EQ(again.steps_this_process, 0);
  EXPECT_EQ(again.last.total, first.last.total);
  EXPECT_EQ(again.last.contrastive->loss, first.last.contrastive->loss);
  EXPECT_EQ(again.last.sds->loss, first.last.sds->loss);
  EXPECT_FALSE(again.last.feature.has_value());
}

TEST(Train, WithLoraWritesMergedWeightsOfTheTargetsAndResumesToTheSameBits) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.tune = Tune::kLora;
  config.train.tune_temperature = false;
  config.train.lora = {.rank = 2, .alpha = 4, .targets = {"attn.in_proj"}};
  const TrainSummary summary = train(config, run_in(folder / "whole"));

  ClipModel before(read_bundle(config.clip, BundleKind::kClip), {});
  std::map<std::string, at::Tensor> tuned;
  for (const NamedTensor& tensor : read_safetensors(folder / "whole" / "tuned.safetensors").tensors)
    tuned.insert(tensor);
  std::int64_t numbers = tuned.at("sds.h_w.weight").numel() + tuned.at("sds.h_w.bias").numel();
  std::size_t expected = 2;
  for (const NamedTensor& parameter : before.parameters()) {
    if (!parameter.first.ends_with("attn.in_proj_weight")) continue;
    ++expected;
    numbers += 2 * (parameter.second.size(0) + parameter.second.size(1));
    const at::Tensor update = (tuned.at(parameter.first) - parameter.second).to(at::kDouble);
    EXPECT_EQ(torch::linalg_matrix_rank(update, 1e-4, false).item<std::int64_t>(), 2) << parameter.first;
  }
  EXPECT_GT(expected, 2U);
  EXPECT_EQ(tuned.size(), expected);
  EXPECT_EQ(summary.trained_parameters, numbers);

  fs::copy(folder / "whole", folder / "killed", fs::copy_options::recursive);
  fs::remove(folder / "killed" / "tuned.safetensors");
  fs::remove_all(folder / "killed" / "checkpoints" / "step-10");
  EXPECT_EQ(train(config, run_in(folder / "killed", /*resume=*/true)).steps_this_process, kSteps - 8);
  EXPECT_EQ(read_file(folder / "killed" / "tuned.safetensors"),
            read_file(folder / "whole" / "tuned.safetensors"));
  EXPECT_EQ(untimed_log(folder / "killed"), untimed_log(folder / "whole"));
}

TEST(Train, FallsBackFromADamagedCheckpointToTheOneBefore) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  copy_finished_run(folder / "run");
  const std::string expected = read_file(folder / "run" / "tuned.safetensors");
  const fs::path newest = folder / "run" / "checkpoints" / "step-10" / "tensors.safetensors";
  std::string bytes = read_file(newest);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file_atomically(newest, bytes);
  const TrainSummary summary = train(config, run_in(folder / "run", /*resume=*/true));
  EXPECT_EQ(summary.steps_this_process, 2);
  EXPECT_EQ(read_file(folder / "run" / "tuned.safetensors"), expected);
}

TEST(Train, KeepsOnlyTheNewestCheckpoints) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.checkpoint_every = 2;
  config.train.keep_checkpoints = 2;
  train(config, run_in(folder / "run"));
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "run" / "checkpoints")) {
    names.insert(entry.path().filename());
  }
  EXPECT_EQ(names, (std::set<std::string>{"step-10", "step-8"}));
}

TEST(Train, WithLambdaZeroDoesNotEvenLoadTheTeacher) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.sds.lambda = 0;
  config.teacher = "/nowhere";
  train(config, run_in(folder / "run"));
  for (const NamedTensor& tensor : read_safetensors(folder / "run" / "tuned.safetensors").tensors) {
    EXPECT_FALSE(tensor.first.starts_with("sds.")) << tensor.first;
  }
}

TEST(Train, LogsWhatWatchingNeeds) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.diagnose_every = 5;
  train(config, run_in(folder / "run"));
  const std::vector<nlohmann::json> lines = untimed_log(folder / "run");
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(kSteps));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["step"], i + 1);
    const double total = lines[i]["loss"]["total"];
    EXPECT_NEAR(total,
                lines[i]["loss"]["contrastive"].get<double>() + 0.05 * lines[i]["loss"]["sds"].get<double>(),
                1e-9);
    EXPECT_TRUE(lines[i]["z"].contains("std"));
    EXPECT_EQ(lines[i].contains("sds_gap"), i % 5 == 0);
  }
}

TEST(Train, RefusesAFolderThatHoldsAnotherRun) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  copy_finished_run(folder / "run");
  forget_end(folder / "run");
  expect_error(ExitCode::kUsage, {"holds a run already", "--resume"},
               [&] { train(config, run_in(folder / "run")); });
  config.train.lr = 2e-3;
  expect_error(ExitCode::kUsage, {"another run"}, [&] { train(config, run_in(folder / "run", true)); });
  expect_error(ExitCode::kUsage, {"another run", "train.lr"}, [&] { train(config, run_in(folder / "run")); });
}

TEST(Train, RepeatedForACompleteRunReturnsItsResult) {
  const TemporaryFolder folder;
  const TrainConfig config = small_config();
  const TrainSummary first = copy_finished_run(folder / "run");
  const std::string tuned = read_file(folder / "run" / "tuned.safetensors");
  const TrainSummary again = train(config, run_in(folder / "run"));
  EXPECT_EQ(again.steps_this_process, 0);
  EXPECT_EQ(again.steps, first.steps);
  EXPECT_EQ(again.last.total, first.last.total);
  EXPECT_EQ(read_file(folder / "run" / "tuned.safetensors"), tuned);
}

TEST(Train, RefusesALossThatIsNotFiniteAndKeepsTheLastCheckpoint) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.lr = 1e30;
  config.train.checkpoint_every = 1;
  expect_error(ExitCode::kRuntime, {"the loss is", "checkpoint"},
               [&] { train(config, run_in(folder / "run")); });
  EXPECT_TRUE(fs::exists(folder / "run" / "checkpoints" / "step-1" / "state.json"));
}

TEST(Train, SavesNothingIfWeightsAreNotFinite) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.steps = 1;
  config.train.checkpoint_every = 0;
  // Unused rows of the token embedding have a gradient of zero, and this epsilon is zero in float32: 0 / 0.
  // The loss is that of the step before, so that only the weights show it.
  config.train.tune = Tune::kAll;
  config.train.epsilon = 1e-300;
  expect_error(ExitCode::kRuntime, {"step 1", "not finite", "checkpoint"},
               [&] { train(config, run_in(folder / "run")); });
  EXPECT_FALSE(fs::exists(folder / "run" / "tuned.safetensors"));
  EXPECT_FALSE(fs::exists(folder / "run" / "checkpoints" / "step-1"));
}

TEST(CheckTrainConfig, RefusesRatesThatFloat32CannotHold) {
  TrainConfig config = small_config();
  config.train.lr = 1e38;
  expect_error(ExitCode::kUsage, {"train.lr", "got 1e+38", "at most 1e+30"},
               [&] { check_train_config(config); });
  config = small_config();
  config.train.weight_decay = 1e7;
  expect_error(ExitCode::kUsage, {"train.weight_decay", "at most 1000000"},
               [&] { check_train_config(config); });
}

TEST(Train, ContinuesWithOtherMicroBatchesAndRecordsThemInItsConfiguration) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  copy_finished_run(folder / "run");
  const std::vector<nlohmann::json> before = untimed_log(folder / "run");
  forget_end(folder / "run");
  fs::remove_all(folder / "run" / "checkpoints" / "step-10");
  config.train.micro_batch_clip = 2;
  config.train.micro_batch_unet = 3;
  EXPECT_EQ(train(config, run_in(folder / "run", /*resume=*/true)).steps_this_process, 2);
  const std::vector<nlohmann::json> after = untimed_log(folder / "run");
  ASSERT_EQ(after.size(), before.size());
  const double expected = before.back()["loss"]["total"];
  EXPECT_NEAR(after.back()["loss"]["total"].get<double>(), expected, 1e-5 * expected);
  EXPECT_NE(read_file(folder / "run" / "config.yaml").find("micro_batch_unet: 3"), std::string::npos);
}

TEST(Train, WithoutAnySoundCheckpointIsBadInput) {
  const TemporaryFolder folder;
  const TrainConfig config = small_config();
  copy_finished_run(folder / "run");
  for (const char* step : {"step-8", "step-10"}) {
    const fs::path file = folder / "run" / "checkpoints" / step / "state.json";
    nlohmann::json state = nlohmann::json::parse(read_file(file));
    state["position"]["cursor"] = -1;
    write_file_atomically(file, state.dump());
  }
  expect_error(ExitCode::kInput, {"checkpoints", "position.cursor", "-1"},
               [&] { train(config, run_in(folder / "run", /*resume=*/true)); });
}

TEST(Train, CountsTheTeachersWorkWithoutAutosTrials) {
  const TemporaryFolder folder;
  TrainConfig config = small_config();
  config.train.steps = 2;
  config.train.diagnose_every = 0;
  config.train.micro_batch_clip = config.train.micro_batch_unet = kAuto;
  const TrainSummary summary = train(config, run_in(folder / "run"));
  EXPECT_EQ(summary.work.unet_evaluations, 2 * config.train.batch_size);
  EXPECT_EQ(summary.work.text_encodings, 2 * config.train.batch_size);
}

TEST(Train, RefusesTruncatedAndMissingImagesIfAsked) {
  const TemporaryFolder folder;
  fs::copy(world() / "coco", folder / "coco", fs::copy_options::recursive);
  TrainConfig config = small_config();
  config.data.annotations = (folder / "coco/annotations/captions_train2017.json").string();
  config.data.images = (folder / "coco/train2017").string();
  config.data.on_bad_sample = OnBadSample::kFail;
  config.train.steps = 11;  // more than an epoch
  const fs::path image = folder / "coco/train2017/000000000007.png";
  const std::string bytes = read_file(image);
  write_file_atomically(image, bytes.substr(0, bytes.size() / 2));
  expect_error(ExitCode::kInput, {"000000000007.png"}, [&] { train(config, run_in(folder / "a")); });
  fs::remove(image);
  expect_error(ExitCode::kInput, {"000000000007.png"}, [&] { train(config, run_in(folder / "b")); });
  config.data.on_bad_sample = OnBadSample::kSkip;
  config.data.max_bad = 0.1;
  EXPECT_EQ(train(config, run_in(folder / "c")).bad_samples, 1);
}

}  // namespace
}  // namespace sdsclip

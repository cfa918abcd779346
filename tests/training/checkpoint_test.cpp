#include "sdsclip/training/checkpoint.h"

#include <gtest/gtest.h>
#include <torch/script.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "sdsclip/base/files.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/training/config.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "training/optimizer_step.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::expect_error;
using testing::TemporaryFolder;

constexpr CheckpointLimits kLimits{.batch_size = 4, .batches_per_epoch = 3, .total_steps = 9};

/// A run of two tensors with an epoch of three batches, and its checkpoints after steps 1 to 4.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    for (std::int64_t step = 1; step <= 4; ++step) {
      for (const NamedTensor& tensor : trained_) {
        at::Tensor(tensor.second).mutable_grad() =
            torch::full_like(tensor.second.detach(), 0.1 * static_cast<double>(step));
      }
      testing::step_of(optimizer_);
      TrainingState state;
      state.step = step;
      state.position = {.epoch = step / 3, .step = step % 3, .cursor = 4 * (step % 3) + 1, .bad_samples = 1};
      save_checkpoint(out_.path(), state, trained_, optimizer_, /*keep=*/2);
    }
  }

  fs::path folder_of(std::int64_t step) const { return out_ / ("checkpoints/step-" + std::to_string(step)); }

  void change_state(std::int64_t step, const std::function<void(json&)>& change) const {
    const fs::path file = folder_of(step) / "state.json";
    json state = json::parse(read_file(file));
    change(state);
    write_file_atomically(file, state.dump());
  }

  /// With a digest that agrees, so that it is the content which is judged.
  void replace_tensors(std::int64_t step, const std::function<bool(NamedTensor&)>& keep) const {
    const fs::path file = folder_of(step) / "tensors.safetensors";
    std::vector<NamedTensor> tensors;
    for (NamedTensor tensor : read_safetensors(file).tensors) {
      if (keep(tensor)) tensors.push_back(tensor);
    }
    write_safetensors(file, tensors);
    change_state(step, [&](json& state) { state["tensors_sha256"] = sha256_of_file(file); });
  }

  std::int64_t loaded_step() {
    const std::optional<TrainingState> state =
        load_newest_checkpoint(out_.path(), kLimits, trained_, optimizer_);
    return state ? state->step : 0;
  }

  TemporaryFolder out_;
  std::vector<NamedTensor> trained_ = {{"a.weight", torch::ones({2, 3}).set_requires_grad(true)},
                                       {"b.bias", torch::ones({3}).set_requires_grad(true)}};
  Optimizer optimizer_{trained_, TrainOptions{}};
};

TEST_F(CheckpointTest, TheNewestIsLoadedAndOldOnesAreRemoved) {
  EXPECT_EQ(loaded_step(), 4);
  EXPECT_FALSE(fs::exists(folder_of(2)));
  EXPECT_TRUE(fs::exists(folder_of(3)));
}

TEST_F(CheckpointTest, AStepBeyondTheRunsEndIsSkipped) {
  fs::copy(folder_of(4), folder_of(10), fs::copy_options::recursive);
  change_state(10, [](json& state) {
    state["step"] = 10;
    state["position"]["epoch"] = 3;
  });
  EXPECT_EQ(loaded_step(), 4);
}

TEST_F(CheckpointTest, AnImpossibleStateIsSkipped) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::function<void(json&)>> changes = {
      [&](json& state) { state["position"]["cursor"] = -1; },
      [&](json& state) { state["position"]["cursor"] = most; },
      [&](json& state) { state["position"]["cursor"] = 6; },
      [&](json& state) { state["position"]["step"] = -1; },
      [&](json& state) { state["position"]["step"] = 3; },
      [&](json& state) { state["position"]["epoch"] = -1; },
      [&](json& state) { state["position"]["epoch"] = most; },
      [&](json& state) { state["position"]["epoch"] = 3; },  // after 4 steps of 3 an epoch
      [&](json& state) { state["position"]["bad_samples"] = most; },
      [&](json& state) { state["position"].erase("epoch"); },
      [&](json& state) { state.erase("position"); },
      [&](json& state) { state["step"] = -4; },
      [&](json& state) { state["step"] = 5; },
      [&](json& state) { state.erase("step"); },
      [&](json& state) { state["schema"] = 2; },
      [&](json& state) { state.erase("schema"); },
      [&](json& state) { state["loss_scale"]["value"] = 0; },
      [&](json& state) { state["loss_scale"]["good_steps"] = -1; },
      [&](json& state) { state["evaluated_step"] = 5; },
      [&](json& state) { state["best_step"] = -2; },
      [&](json& state) { state["worse_in_a_row"] = -1; },
      [&](json& state) { state["best_value"] = nullptr; },
      [&](json& state) { state["loss_scale"]["value"] = 2; },  // float32 has none
      [&](json& state) { state["loss_scale"]["value"] = 1e300; },
      [&](json& state) { state["loss_scale"]["good_steps"] = 1; },
      [&](json& state) { state["best_value"] = 0.5; },  // of no evaluation
      [&](json& state) { state["best_step"] = 3; },     // nor this
      [&](json& state) { state["worse_in_a_row"] = 1; },
      [&](json& state) { state["stopped"] = true; },
      [&](json& state) { state["evaluated_step"] = 0; },
      [&](json& state) { state = json::array(); },
  };
  const std::string good = read_file(folder_of(4) / "state.json");
  for (const std::function<void(json&)>& change : changes) {
    change_state(4, change);
    EXPECT_EQ(loaded_step(), 3) << read_file(folder_of(4) / "state.json");
    write_file_atomically(folder_of(4) / "state.json", good);
  }
  EXPECT_EQ(loaded_step(), 4);
}

TEST_F(CheckpointTest, WhatTheEvaluationsSayMustAgree) {
  const auto evaluated = [this](const std::function<void(json&)>& change) {
    change_state(4, [&](json& state) {
      state["evaluated_step"] = 4;
      state["best_step"] = 2;
      state["best_value"] = 0.25;
      state["worse_in_a_row"] = 2;
      state["stopped"] = true;
      change(state);
    });
    return loaded_step();
  };
  EXPECT_EQ(evaluated([](json&) {}), 4);
  const std::vector<std::function<void(json&)>> changes = {
      [](json& state) { state["best_value"] = 1e308; },
      [](json& state) { state["best_value"] = -0.5; },
      [](json& state) { state["best_value"] = 1.5; },
      [](json& state) { state["best_step"] = 0; },
      [](json& state) { state["best_step"] = -1; },
      [](json& state) { state["best_step"] = 4; },       // two were worse since
      [](json& state) { state["evaluated_step"] = 1; },  // the best one was later
      [](json& state) { state["evaluated_step"] = -1; },
      [](json& state) { state["evaluated_step"] = 3; },  // it stopped by that of step 4
      [](json& state) { state["worse_in_a_row"] = 0; },
      [](json& state) { state["worse_in_a_row"] = 3; },  // in two steps
  };
  for (const std::function<void(json&)>& change : changes) {
    EXPECT_EQ(evaluated(change), 3) << read_file(folder_of(4) / "state.json");
  }
}

TEST_F(CheckpointTest, TensorsOfAnotherRunAreSkipped) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::function<bool(NamedTensor&)>> changes = {
      [](NamedTensor& tensor) { return tensor.first != "exp_avg_sq.b.bias"; },
      [](NamedTensor& tensor) { return tensor.first != "b.bias"; },
      [](NamedTensor& tensor) {
        if (tensor.first == "exp_avg.a.weight") tensor.second = torch::zeros({3, 2});
        return true;
      },
      [](NamedTensor& tensor) {
        if (tensor.first == "a.weight") tensor.second = torch::zeros({2, 4});
        return true;
      },
      [](NamedTensor& tensor) {
        if (tensor.first == "a.weight") tensor.second = torch::zeros({2, 3}, torch::kLong);
        return true;
      },
      [&](NamedTensor& tensor) {
        if (tensor.first == "b.bias") tensor.second = torch::full({3}, nan);
        return true;
      },
      [](NamedTensor& tensor) {
        if (tensor.first == "exp_avg_sq.b.bias") tensor.first = "exp_avo_sq.b.bias";
        return true;
      },
      [](NamedTensor& tensor) {
        if (tensor.first == "step.b.bias") tensor.second = torch::zeros({2}, torch::kLong);
        return true;
      },
      [](NamedTensor& tensor) {  // the run has done four
        if (tensor.first == "step.b.bias") tensor.second = torch::full({1}, 5, torch::kLong);
        return true;
      },
      [](NamedTensor& tensor) {
        const std::int64_t most = std::numeric_limits<std::int64_t>::max();
        if (tensor.first == "step.b.bias") tensor.second = torch::full({1}, most, torch::kLong);
        return true;
      },
  };
  fs::copy(folder_of(4), out_ / "good");
  for (const std::function<bool(NamedTensor&)>& change : changes) {
    replace_tensors(4, change);
    EXPECT_EQ(loaded_step(), 3);
    fs::remove_all(folder_of(4));
    fs::copy(out_ / "good", folder_of(4));
  }
  EXPECT_EQ(loaded_step(), 4);
}

TEST_F(CheckpointTest, WithoutASoundOneNothingChangesAndTheNewestIsNamed) {
  for (const std::int64_t step : {3, 4}) {
    replace_tensors(step, [](NamedTensor& tensor) { return tensor.first != "exp_avg_sq.b.bias"; });
  }
  const at::Tensor before = trained_[0].second.detach().clone();
  expect_error(ExitCode::kInput, {"none of its 2 checkpoints", "'b.bias'", "exp_avg_sq"},
               [&] { loaded_step(); });
  EXPECT_TRUE(torch::equal(trained_[0].second.detach(), before));
}

TEST_F(CheckpointTest, WithoutAnyNothingIsLoaded) {
  fs::remove_all(out_ / "checkpoints");
  EXPECT_EQ(loaded_step(), 0);
}

TEST_F(CheckpointTest, IsNotWrittenIfValuesAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    {
      const at::NoGradGuard no_grad;
      trained_[1].second[1] = bad;
    }
    TrainingState state;
    state.step = 5;
    expect_error(ExitCode::kRuntime, {"'b.bias'", "not finite"},
                 [&] { save_checkpoint(out_.path(), state, trained_, optimizer_, 2); });
    EXPECT_FALSE(fs::exists(folder_of(5)));
  }
  EXPECT_EQ(loaded_step(), 4);
}

TEST_F(CheckpointTest, AnEvaluationReplacesOnlyTheState) {
  const std::string tensors = read_file(folder_of(4) / "tensors.safetensors");
  TrainingState state = *load_newest_checkpoint(out_.path(), kLimits, trained_, optimizer_);
  state.evaluated_step = state.best_step = 4;
  state.best_value = 0.25;
  save_checkpoint_state(out_.path(), state, /*keep=*/1);
  EXPECT_EQ(read_file(folder_of(4) / "tensors.safetensors"), tensors);
  EXPECT_FALSE(fs::exists(folder_of(3)));
  const std::optional<TrainingState> loaded =
      load_newest_checkpoint(out_.path(), kLimits, trained_, optimizer_);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->best_value, 0.25);
  EXPECT_EQ(loaded->evaluated_step, 4);
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/training/stored_config.h"

#include <gtest/gtest.h>

#include <regex>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

class StoredConfigTest : public ::testing::Test {
 protected:
  StoredConfigTest() {
    config_.clip = "models/x";
    write_config(config_, file());
  }
  [[nodiscard]] std::filesystem::path file() const { return folder_ / "config.yaml"; }

  void replace(const std::string& line, const std::string& by) const {
    const std::string text = read_file(file());
    ASSERT_NE(text.find(line), std::string::npos) << line;
    write_file_atomically(file(), std::regex_replace(text, std::regex(line), by));
  }

  TemporaryFolder folder_;
  TrainConfig config_;
};

TEST_F(StoredConfigTest, RecognizesTheSameRunInAnyNotation) {
  EXPECT_FALSE(check_same_run(file(), config_));
  replace("  lr: 5e-05\n", "  lr: 0.00005 # as the paper\n");
  EXPECT_FALSE(check_same_run(file(), config_));
}

TEST_F(StoredConfigTest, AnOptionThatAnOlderVersionDidNotWriteHasItsDefault) {
  replace("  grad_clip_norm: 0\n", "");
  replace("rank:\n  weight: 0\n  targets: \"\"\n  temperature: 0.01\n", "");
  EXPECT_FALSE(check_same_run(file(), config_));
  config_.train.grad_clip_norm = 1;
  expect_error(ExitCode::kUsage, {"train.grad_clip_norm was 0 and is 1 now"},
               [&] { check_same_run(file(), config_); });
}

TEST_F(StoredConfigTest, AnotherRunIsRefusedOptionByOption) {
  config_.train.lr = 1;
  config_.sds.timesteps = SdsTimesteps::kLogitNormal;
  config_.evaluate.benchmarks = {"winoground"};
  expect_error(ExitCode::kUsage,
               {"config.yaml", "another run", "train.lr was 5e-05 and is 1 now",
                "sds.timesteps was uniform and is logit_normal now",
                "evaluate.benchmarks was [] and is [\"winoground\"] now"},
               [&] { check_same_run(file(), config_); });
}

TEST_F(StoredConfigTest, OptionsThatChangeOnlyRoundingMayDiffer) {
  config_.train.micro_batch_clip = 4;
  config_.train.micro_batch_unet = kAuto;
  config_.train.checkpoint_every = 7;
  config_.train.checkpoint_minutes = 5;
  config_.train.keep_checkpoints = 3;
  config_.data.workers = 1;
  EXPECT_TRUE(check_same_run(file(), config_));
  write_config(config_, file());
  EXPECT_FALSE(check_same_run(file(), config_));
}

TEST_F(StoredConfigTest, ADamagedFileIsBadInput) {
  replace("  lr: 5e-05\n", "  lr: [\n");
  expect_error(ExitCode::kInput, {"config.yaml"}, [&] { check_same_run(file(), config_); });
}

}  // namespace
}  // namespace sdsclip

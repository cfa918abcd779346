#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "sdsclip/training/config.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

TrainConfig read_config(const fs::path& file) {
  TrainConfig config;
  bind_options(read_configuration(file), config);
  return config;
}

/// The options in which two configurations differ, and the second one's values.
std::map<std::string, std::string> differences(const fs::path& base, const fs::path& changed) {
  const std::vector<OptionDescription> before = list_options(read_config(base));
  const std::vector<OptionDescription> after = list_options(read_config(changed));
  std::map<std::string, std::string> found;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].value != after[i].value) found[after[i].path] = after[i].value;
  }
  return found;
}

using Values = std::map<std::string, std::string>;

TEST(ConfigFiles, AreAllReadStrictlyAndValid) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator("configs")) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('_')) {
      check_train_config(read_config(entry.path()));
      names.insert(name);
    }
  }
  for (const char* row :
       {"vitb16", "vitb32", "vitl14", "vitl14-336", "rn50", "vitb16-laion400m", "vitb16-laion2b", "coca"}) {
    EXPECT_TRUE(names.contains(std::string(row) + ".yaml")) << row;
  }
}

TEST(ConfigFiles, TheRowsOfThePapersTablesDifferOnlyInTheStudent) {
  for (const char* row :
       {"vitb32", "vitl14", "vitl14-336", "rn50", "vitb16-laion400m", "vitb16-laion2b", "coca"}) {
    const Values found =
        differences("configs/vitb16.yaml", fs::path("configs") / (std::string(row) + ".yaml"));
    EXPECT_EQ(found.size(), 1U) << row;
    EXPECT_TRUE(found.contains("clip")) << row;
  }
}

TEST(ConfigFiles, HoldThePapersHyperParameters) {
  const TrainConfig config = read_config("configs/vitb16.yaml");  // appendix F
  EXPECT_EQ(config.sds.lambda, 0.001);
  EXPECT_EQ(config.train.lr, 5e-5);
  EXPECT_EQ(config.train.batch_size, 32);
  EXPECT_EQ(config.train.tune, Tune::kLayerNorm);
  EXPECT_EQ(config.teacher, "sd-v1-4");
}

TEST(ConfigFiles, TheAppendicesChangeWhatTheyNameAndNothingElse) {
  const fs::path row = "configs/vitb16.yaml";
  EXPECT_EQ(differences(row, "configs/vitb16-full-tuning.yaml"), (Values{{"train.tune", "all"}}));
  EXPECT_EQ(differences(row, "configs/vitb16-sd-v2-1.yaml"), (Values{{"teacher", "\"sd-v2-1\""}}));
  EXPECT_EQ(differences(row, "configs/vitb16-cc3m.yaml"),
            (Values{{"data.format", "webdataset"},
                    {"data.annotations", "\"data/cc3m/{00000..00331}.tar\""},
                    {"data.images", "\"\""},
                    {"train.epochs", "1"}}));
  EXPECT_EQ(differences(row, "configs/vitb16-lora.yaml"), (Values{{"train.tune", "lora"}}));
  EXPECT_EQ(differences(row, "configs/vitb16-feature-distillation.yaml"),
            (Values{{"sds.lambda", "0"}, {"feature.weight", "0.001"}}));
}

TEST(ConfigFiles, BeyondThePaperReplaceTheTeachersLossAndTheData) {
  const fs::path row = "configs/vitb16.yaml";
  const Values data = {{"data.format", "tsv"}, {"data.annotations", "\"data/coco/candidates.tsv\""}};
  Values expected = data;
  expected.merge(Values{{"sds.lambda", "0"}, {"contrastive.hard_negatives", "true"}});
  EXPECT_EQ(differences(row, "configs/vitb16-hard-negatives.yaml"), expected);
  expected = data;
  expected.merge(Values{{"sds.lambda", "0"},
                        {"train.tune", "all"},
                        {"rank.weight", "1"},
                        {"rank.targets", "\"runs/targets\""}});
  EXPECT_EQ(differences(row, "configs/vitb16-rank.yaml"), expected);
}

}  // namespace
}  // namespace sdsclip

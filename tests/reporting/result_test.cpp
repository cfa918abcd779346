#include "sdsclip/reporting/result.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <limits>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using nlohmann::ordered_json;
using testing::expect_error;

RunResult example() {
  return {.command = "eval",
          .benchmark = "winoground",
          .model = {.name = "ViT-B-32", .sha256 = "abc"},
          .settings = {{"seed", 0}, {"limit", 400}},
          .versions = {{"sdsclip", "0.1.0"}, {"torch", "2.11.0"}},
          .seconds = 12.5,
          .skipped_missing = 3,
          .matches = 1600,
          .seconds_a_match = 0.0025,
          .work = {.unet_evaluations = 1, .vae_encodings = 2, .text_encodings = 800, .image_encodings = 801},
          .metrics = {{.name = "winoground/text",
                       .value = 0.31,
                       .n = 400,
                       .ci95 = {.low = 0.265, .high = 0.355},
                       .ties = 2},
                      {.name = "winoground/group",
                       .value = 0.08,
                       .n = 400,
                       .ci95 = {.low = 0.055, .high = 0.107},
                       .ties = 0}}};
}

class Result : public ::testing::Test {
 protected:
  /// Writes the example with one change and reads it back.
  RunResult read_changed(const std::function<void(ordered_json&)>& change) {
    ordered_json file = to_json(example());
    change(file);
    std::ofstream(path_) << file;
    return read_result(path_);
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "result.json";
};

TEST_F(Result, HasTheKeysOfTheContract) {
  write_result(path_, example());
  const ordered_json expected = ordered_json::parse(R"({
    "schema": 1, "command": "eval", "benchmark": "winoground", "model": {"name": "ViT-B-32", "sha256": "abc"},
    "settings": {"seed": 0, "limit": 400}, "versions": {"sdsclip": "0.1.0", "torch": "2.11.0"}, "seconds": 12.5,
    "skipped_missing": 3, "matches": 1600, "seconds_a_match": 0.0025,
    "work": {"unet_evaluations": 1, "vae_encodings": 2, "text_encodings": 800, "image_encodings": 801},
    "metrics": {"winoground/text": {"value": 0.31, "n": 400, "ci95": [0.265, 0.355], "ties": 2},
                "winoground/group": {"value": 0.08, "n": 400, "ci95": [0.055, 0.107], "ties": 0}}})");
  EXPECT_EQ(ordered_json::parse(read_file(path_)), expected);
}

TEST_F(Result, ReadsBackWhatWasWritten) {
  write_result(path_, example());
  const RunResult result = read_result(path_);
  EXPECT_EQ(to_json(result), to_json(example()));
  EXPECT_EQ(result.metrics[1].name, "winoground/group");  // the order is kept
}

TEST_F(Result, ReadsOlderFilesWithoutTheLaterCounts) {
  const RunResult result = read_changed([](ordered_json& file) {
    for (const char* key : {"skipped_missing", "matches", "seconds_a_match"}) file.erase(key);
  });
  EXPECT_EQ(result.skipped_missing, 0);
  EXPECT_EQ(result.matches, 0);
}

TEST_F(Result, WritesTagsThatAreNotUtf8) {
  RunResult result = example();
  result.metrics[0].name = "winoground/tag/\xff/text";
  write_result(path_, result);
  EXPECT_EQ(read_result(path_).metrics.size(), 2u);
}

TEST_F(Result, NeverWritesAValueThatIsNotFinite) {
  RunResult result = example();
  result.metrics[0].value = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(write_result(path_, result), std::logic_error);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Result, RefusesOtherFilesByKey) {
  expect_error(ExitCode::kInput, {"result.json"}, [&] { read_result(path_); });
  std::ofstream(path_) << "{";
  expect_error(ExitCode::kInput, {"result.json", "not JSON"}, [&] { read_result(path_); });
  expect_error(ExitCode::kInput, {"'schema'", "got 2", "expected 1"},
               [&] { read_changed([](ordered_json& file) { file["schema"] = 2; }); });
  expect_error(ExitCode::kInput, {"'command'", "got a whole number (5)", "a text"},
               [&] { read_changed([](ordered_json& file) { file["command"] = 5; }); });
  expect_error(
      ExitCode::kInput,
      {"result.json.metrics.winoground/text", "'ci95'", "got 1 numbers", "expected a list of 2"},
      [&] { read_changed([](ordered_json& file) { file["metrics"]["winoground/text"]["ci95"] = {1}; }); });
  for (const nlohmann::ordered_json& n :
       {nlohmann::ordered_json(3.7), nlohmann::ordered_json(true),
        nlohmann::ordered_json(9223372036854775808U), nlohmann::ordered_json(-1)}) {
    expect_error(ExitCode::kInput, {"result.json.metrics.winoground/text", "'n'"}, [&] {
      read_changed([&](ordered_json& file) { file["metrics"]["winoground/text"]["n"] = n; });
    });
  }
  expect_error(ExitCode::kInput, {"winoground/text", "'ci95'", "the smaller one first"}, [&] {
    read_changed([](ordered_json& file) { file["metrics"]["winoground/text"]["ci95"] = {0.5, 0.25}; });
  });
  expect_error(ExitCode::kInput, {"result.json.work", "'vae_encodings' is missing"},
               [&] { read_changed([](ordered_json& file) { file["work"].erase("vae_encodings"); }); });
}

TEST_F(Result, RefusesNumbersThatNoRunCanGive) {
  const auto expect_refused = [&](const std::string& pointer, const ordered_json& value,
                                  std::initializer_list<std::string> parts) {
    expect_error(ExitCode::kInput, parts, [&] {
      read_changed([&](ordered_json& file) { file[ordered_json::json_pointer(pointer)] = value; });
    });
  };
  const std::string text = "/metrics/winoground~1text/";
  for (const double value : {1e308, 1.01, -0.01}) {
    expect_refused(text + "value", value, {"result.json", "winoground/text", "value", "0 to 1"});
    expect_refused("/seconds_a_match", value < 0 ? value : 1e308, {"'seconds_a_match'"});
    expect_refused("/seconds", value < 0 ? value : 1e308, {"'seconds'", "0 to"});
  }
  expect_refused(text + "ci95", {-0.1, 0.5}, {"winoground/text", "ci95", "0 to 1"});
  expect_refused(text + "ci95", {0.1, 7.5}, {"winoground/text", "ci95", "0 to 1"});
  expect_refused(text + "n", 0, {"winoground/text", "n", "1 or more"});
  expect_refused(text + "ties", 401, {"winoground/text", "ties", "401", "400"});
}

TEST_F(Result, OfTrainingHasLossesOfAnySize) {
  RunResult result = example();
  result.metrics = {{.name = "train/last_loss/sds", .value = 12345, .n = 1, .ci95 = {12345, 12345}}};
  write_result(path_, result);
  EXPECT_EQ(read_result(path_).metrics[0].value, 12345);
}

TEST_F(Result, RefusesNestingThatWouldOverflowTheStack) {
  std::string text = "{\"schema\": ";
  for (int i = 0; i < 3000; ++i) text += "[";
  std::ofstream(path_) << text + std::string(3000, ']') + "}";
  expect_error(ExitCode::kInput, {"result.json", "nested more than"}, [&] { read_result(path_); });
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/training/run_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

const std::string kGood = R"({"step": 1, "loss": {"total": 2.5}})"
                          "\n"
                          R"({"step": 2, "loss": {"total": 1.5, "sds": 3}})"
                          "\n";

TEST(RunLog, KeepsDoneStepsAndDropsDamagedLines) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "log.jsonl";
  const std::string third = "{\"step\": 3}\n";
  for (const std::string damage :
       {R"({"step": "x"})", R"({"step": null})", R"({"step": 1.5})", R"({"step": -1})", R"({"step": 1})",
        "[]", R"({"step": 18446744073709551615})", "not JSON", R"({"step": true})", ""}) {
    write_file_atomically(file, kGood + damage + "\n" + third + "{\"step\": 4}\n{\"step\": 5");
    { const RunLog log(file, /*done_steps=*/3); }
    EXPECT_EQ(read_file(file), kGood + third) << damage;
  }
}

TEST(ReadLastLosses, AreThoseOfTheLastWholeLine) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "log.jsonl";
  EXPECT_EQ(read_last_losses(file).total, 0);
  write_file_atomically(file, kGood + "{\"step\": 3, \"loss\"");
  const StepResult result = read_last_losses(file);
  EXPECT_EQ(result.total, 1.5);
  EXPECT_EQ(result.sds->loss, 3);
  EXPECT_FALSE(result.contrastive);
}

TEST(ReadLastLosses, OfALineThatSaysNothingOfThemAreBadInput) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "log.jsonl";
  for (const std::string line :
       {R"({"step": 3})", R"({"step": 3, "loss": 1})", R"({"step": 3, "loss": {}})",
        R"({"step": 3, "loss": {"total": "x"}})", R"({"step": 3, "loss": {"total": 1, "sds": null}})"}) {
    write_file_atomically(file, kGood + line + "\n");
    expect_error(ExitCode::kInput, {"log.jsonl", "last line"}, [&] { read_last_losses(file); });
  }
}

TEST(ReadLastEvaluation, OfALineThatSaysNothingOfItIsBadInput) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "evaluations.jsonl";
  EXPECT_TRUE(read_last_evaluation(file).empty());
  const std::string metric = R"({"value": 0.5, "n": 3, "ci95": [0.1, 0.9], "ties": 0})";
  write_file_atomically(file, R"({"step": 1, "metrics": {"winoground/text": )" + metric + "}}\n");
  EXPECT_EQ(read_last_evaluation(file).at(0).value, 0.5);
  for (const std::string& metrics :
       {std::string("null"), std::string(R"({"a": "<script>"})"), std::string(R"({"a": {}})"),
        std::string(R"({"a": {"value": 1, "n": 3, "ci95": [1], "ties": 0}})"),
        std::string(R"({"a": {"value": 1, "n": 3.5, "ci95": [1, 2], "ties": 0}})"),
        std::string(R"({"a": {"value": 1e308, "n": 3, "ci95": [0, 1], "ties": 0}})"),
        std::string(R"({"a": {"value": 1, "n": 3, "ci95": [0, 2], "ties": 0}})")}) {
    write_file_atomically(file, R"({"step": 1, "metrics": )" + metrics + "}\n");
    expect_error(ExitCode::kInput, {"evaluations.jsonl", "last line"}, [&] { read_last_evaluation(file); });
  }
}

}  // namespace
}  // namespace sdsclip

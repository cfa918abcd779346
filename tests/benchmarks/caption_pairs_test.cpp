// CLEVR, SugarCrepe and MMVP: a true caption against a false one, each by its authors' rule for ties.
#include <gtest/gtest.h>

#include <array>

#include "benchmarks/data_files.h"
#include "sdsclip/benchmarks/metrics.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::find_marks;
using testing::put_image;
using testing::set_scores;
using testing::write_text;

class CaptionPairs : public ::testing::Test {
 protected:
  CaseTable load(std::string_view benchmark, bool skip_missing = false) {
    return find_benchmark(benchmark).load({.data = folder_.path(), .limit = 0, .skip_missing = skip_missing});
  }

  testing::TemporaryFolder folder_;
};

class Clevr : public CaptionPairs {
 protected:
  Clevr() {
    for (const char* task : {"pair_binding_size", "pair_binding_color", "recognition_color",
                             "recognition_shape", "spatial", "binding_color_shape", "binding_shape_color"}) {
      write_text(folder_ / "captions" / fmt::format("{}.json", task), "{}");
    }
    write_text(folder_ / "captions" / "CLEVR_scenes.json", "not one of the tasks");
    put_image(folder_ / "images" / "a.png");
  }
};

TEST_F(Clevr, AsksTwoPairsPerImageAndCountsTiesAsRight) {
  write_text(folder_ / "captions" / "spatial.json",
             R"({"a.png": [["a left of b", "a right of b"], ["b right of a", "b left of a"]]})");
  write_text(folder_ / "captions" / "recognition_color.json", R"({"a.png": [["red", "blue"]]})");
  const CaseTable table = load("clevr");
  ASSERT_EQ(table.cases.size(), 3u);
  EXPECT_EQ(table.images.size(), 1u);
  EXPECT_EQ(table.cases[2].id, "spatial/a.png/1");
  CaseScores scores(table);
  set_scores(scores, 0, {{0.1, 0.2}});
  set_scores(scores, 1, {{0.2, 0.2}});
  set_scores(scores, 2, {{0.3, 0.2}});
  const std::vector<MetricMarks> marks = find_benchmark("clevr").judge(table, scores);
  EXPECT_EQ(find_marks(marks, "clevr/spatial/accuracy")->mark, (std::vector<double>{1, 1}));
  EXPECT_EQ(find_marks(marks, "clevr/spatial/accuracy")->ties, 1);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "clevr/accuracy")), 2.0 / 3);
}

TEST_F(Clevr, RefusesMalformedTasks) {
  expect_error(ExitCode::kInput, {"no case to judge"}, [&] { load("clevr"); });
  write_text(folder_ / "captions" / "spatial.json", R"({"a.png": [["only one"]]})");
  expect_error(ExitCode::kInput, {"spatial.json: key 'a.png', pair 0", "got 1"}, [&] { load("clevr"); });
  write_text(folder_ / "captions" / "spatial.json", R"({"a.png": [["x", 3]]})");
  expect_error(ExitCode::kInput, {"entry 1", "a whole number"}, [&] { load("clevr"); });
  write_text(folder_ / "captions" / "spatial.json", R"({"a.png": [["x", 1e999]]})");
  expect_error(ExitCode::kInput, {"spatial.json", "not JSON", "1e999"}, [&] { load("clevr"); });
  write_text(folder_ / "captions" / "spatial.json", R"([1])");
  expect_error(ExitCode::kInput, {"spatial.json", "an object"}, [&] { load("clevr"); });
  std::filesystem::remove(folder_ / "captions" / "spatial.json");
  expect_error(ExitCode::kInput, {"spatial.json"}, [&] { load("clevr"); });
}

class SugarCrepe : public CaptionPairs {
 protected:
  SugarCrepe() {
    for (const char* split : kSplits) write_text(folder_ / fmt::format("{}.json", split), "{}");
    put_image(folder_ / "val2017" / "a.jpg");
  }
  void write_split(const char* split, int cases) {
    std::string text = "{";
    for (int i = 0; i < cases; ++i) {
      text += fmt::format(R"({}"{}": {{"filename": "a.jpg", "caption": "c", "negative_caption": "n{}"}})",
                          i == 0 ? "" : ",", 3 * i, i);
    }
    write_text(folder_ / fmt::format("{}.json", split), text + "}");
  }

  static constexpr std::array<const char*, 7> kSplits = {
      "replace_obj", "replace_att", "replace_rel", "swap_obj", "swap_att", "add_obj", "add_att"};
};

TEST_F(SugarCrepe, IsStrictAndAveragesTheSplits) {
  write_split("replace_obj", 1);
  write_split("swap_att", 3);
  const CaseTable table = load("sugarcrepe");
  ASSERT_EQ(table.cases.size(), 4u);
  EXPECT_EQ(table.cases[3].id, "swap_att/6");
  CaseScores scores(table);
  set_scores(scores, 0, {{0.9, 0.1}});
  set_scores(scores, 1, {{0.9, 0.1}});
  set_scores(scores, 2, {{0.5, 0.5}});
  set_scores(scores, 3, {{0.1, 0.9}});
  const std::vector<MetricMarks> marks = find_benchmark("sugarcrepe").judge(table, scores);
  EXPECT_EQ(find_marks(marks, "sugarcrepe/swap_att/accuracy")->mark, (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(find_marks(marks, "sugarcrepe/swap_att/accuracy")->ties, 1);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "sugarcrepe/accuracy")), (1 + 1.0 / 3) / 2);
  EXPECT_EQ(find_marks(marks, "sugarcrepe/add_obj/accuracy"), nullptr);
}

TEST_F(SugarCrepe, NamesTheRecordOfAMissingImage) {
  write_text(folder_ / "add_att.json",
             R"({"17": {"filename": "b.jpg", "caption": "c", "negative_caption": "n"}})");
  expect_error(ExitCode::kInput, {"add_att.json: key '17'", "b.jpg"}, [&] { load("sugarcrepe"); });
  expect_error(ExitCode::kInput, {"no case to judge", "b.jpg"}, [&] { load("sugarcrepe", true); });
}

class Mmvp : public CaptionPairs {
 protected:
  void write_questions(const std::string& rows) {
    write_text(folder_ / "Questions.csv", "Question ID,Type,Statement\n" + rows);
    for (int number = 1; number <= 4; ++number) {
      for (const char* type : {"Color", "Texts"}) {
        put_image(folder_ / "MLLM_VLM Images" / type / fmt::format("{}.jpg", number));
      }
    }
  }
};

TEST_F(Mmvp, ReadsQuotedStatements) {
  write_questions("1,Color,\"a \"\"red\"\", round ball\"\r\n2,Color,a blue ball\r\n");
  const CaseTable table = load("mmvp");
  ASSERT_EQ(table.cases.size(), 1u);
  EXPECT_EQ(table.captions[0].id, "a photo of a \"red\", round ball");
  EXPECT_EQ(table.images[1].id, "MLLM_VLM Images/Color/2.jpg");
}

// evaluate_vlm.py takes the first image if its probability is above 0.5. Worked by hand with both ties.
TEST_F(Mmvp, JudgesWhichImageAStatementIsOf) {
  write_questions("1,Color,a\n2,Color,b\n3,Texts,c\n4,Texts,d\n");
  const CaseTable table = load("mmvp");
  const auto accuracy = [&](const std::vector<std::vector<double>>& color,
                            const std::vector<std::vector<double>>& texts) {
    CaseScores scores(table);
    set_scores(scores, 0, color);
    set_scores(scores, 1, texts);
    return metric_value(*find_marks(find_benchmark("mmvp").judge(table, scores), "mmvp/accuracy"));
  };
  const std::vector<std::vector<double>> right = {{0.9, 0.1}, {0.1, 0.9}};
  EXPECT_DOUBLE_EQ(accuracy(right, right), 1.0);
  EXPECT_DOUBLE_EQ(accuracy({{0.9, 0.9}, {0.1, 0.9}}, right),
                   1.0);  // the second statement ties: second image
  EXPECT_DOUBLE_EQ(accuracy({{0.9, 0.1}, {0.9, 0.9}}, right), 0.5);  // the first statement ties: second image
  EXPECT_DOUBLE_EQ(accuracy({{0.9, 0.8}, {0.1, 0.2}}, right), 0.5);  // both statements prefer the first image
}

TEST_F(Mmvp, RefusesBrokenPairs) {
  write_questions("1,Color,a\n");
  expect_error(ExitCode::kInput, {"Questions.csv", "two rows per pair"}, [&] { load("mmvp"); });
  write_questions("2,Color,a\n3,Color,b\n");
  expect_error(ExitCode::kInput, {"line 2", "an odd number"}, [&] { load("mmvp"); });
  write_questions("1,Color,a\n2,Texts,b\n");
  expect_error(ExitCode::kInput, {"line 2", "one type"}, [&] { load("mmvp"); });
  write_questions("1,Color\n2,Color,b\n");
  expect_error(ExitCode::kInput, {"line 2", "got 2 fields"}, [&] { load("mmvp"); });
  write_questions("x,Color,a\n2,Color,b\n");
  expect_error(ExitCode::kInput, {"line 2", "'x'"}, [&] { load("mmvp"); });
  write_questions("1,Color,a\n2,Color,b\xff\n");
  expect_error(ExitCode::kInput, {"line 3", "UTF-8"}, [&] { load("mmvp"); });
  write_questions("1,Color,\"a\n2,Color,b\n");
  expect_error(ExitCode::kInput, {"line 2", "not closed"}, [&] { load("mmvp"); });
}

}  // namespace
}  // namespace sdsclip

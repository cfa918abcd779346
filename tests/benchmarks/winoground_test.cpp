#include <gtest/gtest.h>

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

std::string example(int id, const std::string& tag, int predicates, const std::string& caption_0 = "a on b",
                    const std::string& caption_1 = "b on a") {
  return fmt::format(
      R"({{"id": {0}, "image_0": "ex_{0}_img_0", "image_1": "ex_{0}_img_1", "caption_0": "{3}", "caption_1": "{4}",)"
      R"( "tag": "Noun", "secondary_tag": "", "num_main_preds": {2}, "collapsed_tag": "{1}"}})"
      "\n",
      id, tag, predicates, caption_0, caption_1);
}

class Winoground : public ::testing::Test {
 protected:
  void write(const std::string& lines, int images = 4) {
    write_text(folder_ / "examples.jsonl", lines);
    for (int id = 0; id < images; ++id) {
      put_image(folder_ / "images" / fmt::format("ex_{}_img_0.png", id));
      put_image(folder_ / "images" / fmt::format("ex_{}_img_1.png", id));
    }
  }
  CaseTable load(LoadOptions options = {}) {
    options.data = folder_.path();
    return find_benchmark("winoground").load(options);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Winoground, LoadsEachImageAndCaptionOnce) {
  write(example(0, "Object", 1) + example(1, "Relation", 2));
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.images.size(), 4u);
  EXPECT_EQ(table.captions.size(), 2u);  // both cases have the same two captions
  EXPECT_EQ(table.cases[1].id, "1");
  EXPECT_EQ(table.cases[1].images, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(table.cases[1].captions, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(table.cases[1].tags, (std::vector<std::string>{"tag/Relation", "fine_tag/Noun", "preds/2"}));
  EXPECT_EQ(table.images[2].id, "images/ex_1_img_0.png");
}

TEST_F(Winoground, TakesImageNamesWithExtensionToo) {
  write_text(folder_ / "examples.jsonl",
             R"({"id": 7, "image_0": "a.jpg", "image_1": "b.jpg", "caption_0": "x", "caption_1": "y"})");
  put_image(folder_ / "images" / "a.jpg");
  put_image(folder_ / "images" / "b.jpg");
  EXPECT_EQ(load().images[0].id, "images/a.jpg");
}

// Worked by hand from the paper's definitions: text compares captions for each image, image compares images
// for each caption, group wants both, all strictly.
TEST_F(Winoground, JudgesTextImageAndGroupStrictly) {
  write(example(0, "Object", 1) + example(1, "Object", 1) + example(2, "Relation", 2) +
        example(3, "Relation", 1));
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{0.9, 0.1}, {0.2, 0.8}});  // all right
  set_scores(scores, 1, {{0.9, 0.8}, {0.1, 0.2}});  // text right; caption 1 prefers image 0
  set_scores(scores, 2, {{0.9, 0.5}, {0.5, 0.5}});  // image 1 ties its captions, caption 1 ties the images
  set_scores(scores, 3, {{0.3, 0.4}, {0.2, 0.5}});  // image right; image 0 prefers caption 1
  const std::vector<MetricMarks> marks = find_benchmark("winoground").judge(table, scores);

  EXPECT_EQ(find_marks(marks, "winoground/text")->mark, (std::vector<double>{1, 1, 0, 0}));
  EXPECT_EQ(find_marks(marks, "winoground/image")->mark, (std::vector<double>{1, 0, 0, 1}));
  EXPECT_EQ(find_marks(marks, "winoground/group")->mark, (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(find_marks(marks, "winoground/text")->ties, 1);
  EXPECT_EQ(find_marks(marks, "winoground/image")->ties, 1);
  EXPECT_EQ(find_marks(marks, "winoground/group")->ties, 1);
  EXPECT_EQ(find_marks(marks, "winoground/tag/Relation/image")->mark, (std::vector<double>{0, 1}));
  EXPECT_EQ(find_marks(marks, "winoground/tag/Relation/image")->case_index,
            (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(find_marks(marks, "winoground/preds/2/group")->mark, (std::vector<double>{0}));
  EXPECT_EQ(find_marks(marks, "winoground/tag/Both/text"), nullptr);  // no case has it
}

TEST_F(Winoground, CountsATieOnlyIfItDecides) {
  write(example(0, "Object", 1));
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{0.5, 0.5}, {0.9, 0.1}});  // image 1 is wrong, however image 0's tie is decided
  const std::vector<MetricMarks> marks = find_benchmark("winoground").judge(table, scores);
  EXPECT_EQ(find_marks(marks, "winoground/text")->ties, 0);
}

TEST_F(Winoground, TwoEqualCaptionsAreAlwaysATie) {
  write(example(0, "Object", 1, "the same", "the same"));
  const CaseTable table = load();
  EXPECT_EQ(table.captions.size(), 1u);
  CaseScores scores(table);
  set_scores(scores, 0, {{0.7, 0.7}, {0.2, 0.2}});
  const std::vector<MetricMarks> marks = find_benchmark("winoground").judge(table, scores);
  EXPECT_EQ(metric_value(*find_marks(marks, "winoground/text")), 0);
  EXPECT_EQ(find_marks(marks, "winoground/text")->ties, 1);
}

TEST_F(Winoground, GroupsByDiwansCategoriesIfGiven) {
  write(example(0, "Object", 1) + example(1, "Object", 1));
  write_text(folder_ / "new_tag_assignments.json",
             R"({"0": ["Unusual Text", "Complex Reasoning"], "1": []})");
  const CaseTable table = load();
  EXPECT_EQ(table.cases[0].tags[3], "diwan/Unusual Text");
  EXPECT_EQ(table.cases[0].tags[4], "diwan/Complex Reasoning");
  EXPECT_EQ(table.cases[1].tags[3], "diwan/No Tag");
  write_text(folder_ / "new_tag_assignments.json", R"({"0": []})");
  expect_error(ExitCode::kInput, {"line 2", "'1'", "new_tag_assignments.json"}, [&] { load(); });
}

TEST_F(Winoground, KeepsTheFirstCasesUnderALimit) {
  write(example(0, "Object", 1) + example(1, "Object", 1) + example(2, "Object", 1));
  EXPECT_EQ(load({.data = {}, .limit = 2, .skip_missing = false}).cases.size(), 2u);
}

TEST_F(Winoground, NamesAMissingImageOrSkipsAndCountsIt) {
  write(example(0, "Object", 1) + example(5, "Object", 1));
  expect_error(ExitCode::kInput, {"examples.jsonl: line 2", "ex_5_img_0.png", "--skip-missing"},
               [&] { load(); });
  const CaseTable table = load({.data = {}, .limit = 0, .skip_missing = true});
  EXPECT_EQ(table.cases.size(), 1u);
  EXPECT_EQ(table.skipped_missing, 1);
  EXPECT_EQ(table.missing_files.size(), 2u);
}

TEST_F(Winoground, RefusesMalformedRecordsByLine) {
  write(example(0, "Object", 1) + example(0, "Object", 1));
  expect_error(ExitCode::kInput, {"line 2", "id '0' appears twice"}, [&] { load(); });
  write(example(0, "Object", 1) + "{\"id\": 1,\n");
  expect_error(ExitCode::kInput, {"line 2", "not JSON"}, [&] { load(); });
  write("[1]\n");
  expect_error(ExitCode::kInput, {"line 1", "a list", "an object"}, [&] { load(); });
  write(R"({"id": 1.5, "image_0": "a"})");
  expect_error(ExitCode::kInput, {"'id'", "a fraction", "a whole number"}, [&] { load(); });
  write(R"({"id": 1, "image_0": 3})");
  expect_error(ExitCode::kInput, {"'image_0'", "a whole number", "a text"}, [&] { load(); });
  write(R"({"id": 1, "image_0": "a", "image_1": "b", "caption_0": "c"})");
  expect_error(ExitCode::kInput, {"'caption_1' is missing"}, [&] { load(); });
  write("\n");
  expect_error(ExitCode::kInput, {"no case to judge"}, [&] { load(); });
}

TEST_F(Winoground, NamesAMissingFolderOrFile) {
  expect_error(ExitCode::kInput, {"examples.jsonl"}, [&] { load(); });
  expect_error(ExitCode::kInput, {"no such data folder", "--data"}, [&] {
    find_benchmark("winoground").load({.data = folder_ / "absent", .limit = 0, .skip_missing = false});
  });
}

}  // namespace
}  // namespace sdsclip

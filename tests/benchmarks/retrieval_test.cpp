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

class Retrieval : public ::testing::Test {
 protected:
  CaseTable load(LoadOptions options = {}) {
    options.data = folder_.path();
    return find_benchmark("retrieval").load(options);
  }
  /// Images `N.jpg` with the given captions, as an image list.
  void write_list(const std::vector<std::vector<std::string>>& captions) {
    std::string text;
    for (std::size_t image = 0; image < captions.size(); ++image) {
      std::string list;
      for (const std::string& caption : captions[image])
        list += (list.empty() ? "\"" : ", \"") + caption + "\"";
      text += fmt::format(R"({}{{"image": "val2014/{}.jpg", "caption": [{}]}})", image == 0 ? "" : ",\n",
                          image, list);
      put_image(folder_ / "val2014" / fmt::format("{}.jpg", image));
    }
    write_text(folder_ / "coco_karpathy_test.json", "[" + text + "]");
  }
  std::vector<MetricMarks> judge(const std::vector<std::vector<double>>& rows) {
    const CaseTable table = load();
    CaseScores scores(table);
    for (std::size_t index = 0; index < rows.size(); ++index) set_scores(scores, index, {rows[index]});
    return find_benchmark("retrieval").judge(table, scores);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Retrieval, ReadsCocosOwnFormat) {
  write_text(folder_ / "annotations" / "captions_val2017.json",
             R"({"images": [{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}],
                 "annotations": [{"image_id": 3, "id": 1, "caption": "x"}, {"image_id": 7, "id": 2, "caption": "y"},
                                 {"image_id": 3, "id": 3, "caption": "z"}]})");
  put_image(folder_ / "val2017" / "a.png");
  put_image(folder_ / "val2017" / "b.png");
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.cases[0].id, "val2017/a.png");
  EXPECT_EQ(table.captions.size(), 3u);
  EXPECT_EQ(table.caption_count(1), 3);
  ASSERT_EQ(table.cases[1].positives.size(), 2u);
  EXPECT_EQ(table.captions[static_cast<std::size_t>(table.cases[1].positives[1])].id, "z");
}

TEST_F(Retrieval, ReadsTheTestSplitOfKarpathysFormat) {
  write_text(folder_ / "dataset_flickr30k.json",
             R"({"images": [{"filename": "1.jpg", "split": "train", "sentences": [{"raw": "x"}]},
                            {"filename": "2.jpg", "split": "test", "sentences": [{"raw": "y"}, {"raw": "z"}]}]})");
  put_image(folder_ / "flickr30k-images" / "2.jpg");
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 1u);
  EXPECT_EQ(table.cases[0].id, "flickr30k-images/2.jpg");
  EXPECT_EQ(table.cases[0].tags, (std::vector<std::string>{"set/flickr30k"}));
}

// Three images, captions a1 a2 | b1 | c1, worked by hand.
TEST_F(Retrieval, MeasuresRecallInBothDirections) {
  write_list({{"a1", "a2"}, {"b1"}, {"c1"}});
  const std::vector<MetricMarks> marks = judge({{0.1, 0.9, 0.8, 0.2},    // best text a2: right
                                                {0.5, 0.1, 0.4, 0.3},    // best text a1: wrong
                                                {0.2, 0.3, 0.1, 0.6}});  // best text c1: right
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@1")->mark, (std::vector<double>{1, 0, 1}));
  // a1 is best with image 1, a2 with image 0, b1 with image 0, c1 with image 2.
  EXPECT_EQ(find_marks(marks, "retrieval/image/recall@1")->mark, (std::vector<double>{0, 1, 0, 1}));
  EXPECT_EQ(find_marks(marks, "retrieval/image/recall@1")->case_index,
            (std::vector<std::int32_t>{0, 0, 1, 2}));
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@5"), nullptr);  // of four texts every one is among five
}

TEST_F(Retrieval, CutsOffAfterFive) {
  write_list({{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}});
  const std::vector<MetricMarks> marks = judge({{1, 2, 3, 4, 5, 0},  // a is fifth
                                                {9, 1, 3, 4, 5, 6},  // b is sixth
                                                {1, 2, 9, 4, 5, 6},  // c is first
                                                {0, 0, 0, 1, 0, 0},
                                                {0, 0, 0, 0, 1, 0},
                                                {1, 1, 1, 1, 0, 1}});  // f ties for the first five places
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@5")->mark, (std::vector<double>{1, 0, 1, 1, 1, 1}));
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@1")->ties, 1);
}

TEST_F(Retrieval, CountsATieAsAMiss) {
  write_list({{"a"}, {"b"}});
  const std::vector<MetricMarks> marks = judge({{0.5, 0.5}, {0.1, 0.9}});
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@1")->mark, (std::vector<double>{0, 1}));
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@1")->ties, 1);
  EXPECT_EQ(find_marks(marks, "retrieval/image/recall@1")->mark, (std::vector<double>{1, 1}));
}

TEST_F(Retrieval, TreatsEqualCaptionsAsOneThatIsRightForBothImages) {
  write_list({{"a dog", "a dog", "brown"}, {"a dog"}});
  const CaseTable table = load();
  EXPECT_EQ(table.captions.size(), 2u);
  EXPECT_EQ(table.cases[0].positives, (std::vector<std::int32_t>{0, 0, 1}));
  const std::vector<MetricMarks> marks = judge({{0.9, 0.1}, {0.8, 0.2}});
  EXPECT_EQ(find_marks(marks, "retrieval/text/recall@1")->mark, (std::vector<double>{1, 1}));
  // As a question each is of its own image only: "a dog" twice of image 0, "brown", "a dog" of image 1.
  EXPECT_EQ(find_marks(marks, "retrieval/image/recall@1")->mark, (std::vector<double>{1, 1, 0, 0}));
}

TEST_F(Retrieval, SkipsMissingImagesWithTheirCaptions) {
  write_list({{"a"}, {"b"}, {"c"}});
  std::filesystem::remove(folder_ / "val2014" / "1.jpg");
  expect_error(ExitCode::kInput, {"record 1", "1.jpg"}, [&] { load(); });
  const CaseTable table = load({.data = {}, .limit = 0, .skip_missing = true});
  EXPECT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.captions.size(), 2u);
  EXPECT_EQ(table.skipped_missing, 1);
}

TEST_F(Retrieval, RefusesMalformedAnnotations) {
  expect_error(ExitCode::kInput, {"no caption file", "dataset_coco.json"}, [&] { load(); });
  const std::filesystem::path path = folder_ / "annotations" / "captions_val2017.json";
  write_text(
      path,
      R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 2, "caption": "x"}]})");
  expect_error(ExitCode::kInput, {"annotations[0]", "image_id 2"}, [&] { load(); });
  write_text(path, R"({"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]})");
  expect_error(ExitCode::kInput, {"images[1]", "id 1 appears twice"}, [&] { load(); });
  write_text(path, R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": []})");
  expect_error(ExitCode::kInput, {"a.png has no caption"}, [&] { load(); });
  write_list({{}});
  expect_error(ExitCode::kInput, {"record 0", "has no caption"}, [&] { load(); });
}

}  // namespace
}  // namespace sdsclip

#include <gtest/gtest.h>

#include "aro_symmetric_relations.h"
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

std::string boxed(const std::string& more, int x = 1) {
  return fmt::format(R"({{"image_path": "1.jpg", "bbox_x": {}, "bbox_y": 2, "bbox_w": 30, "bbox_h": 40,)"
                     R"( "true_caption": "a on b", "false_caption": "b on a", {}}})",
                     x, more);
}

std::string relation(const std::string& name, int x = 1) {
  return boxed(fmt::format(R"("relation_name": "{}")", name), x);
}

std::string attribution(const std::string& a, const std::string& b) {
  return boxed(fmt::format(R"("attributes": ["{}", "{}"])", a, b));
}

std::string list_of(const std::vector<std::string>& entries) {
  std::string text = "[";
  for (const std::string& entry : entries) text += (text.size() > 1 ? ",\n" : "") + entry;
  return text + "]";
}

class Aro : public ::testing::Test {
 protected:
  Aro() { put_image(folder_ / "images" / "1.jpg"); }
  void write_relations(const std::vector<std::string>& entries) {
    write_text(folder_ / "visual_genome_relation.json", list_of(entries));
  }
  void write_attributions(const std::vector<std::string>& entries) {
    write_text(folder_ / "visual_genome_attribution.json", list_of(entries));
  }
  CaseTable load(std::int64_t limit = 0) {
    return find_benchmark("aro").load({.data = folder_.path(), .limit = limit, .skip_missing = false});
  }
  static std::vector<MetricMarks> judge(const CaseTable& table, const CaseScores& scores) {
    return find_benchmark("aro").judge(table, scores);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Aro, CropsACaseToItsBox) {
  write_relations({relation("on"), relation("on", 7), relation("on", 7)});
  const CaseTable table = load();
  ASSERT_EQ(table.images.size(), 2u);  // the last two cases share a crop
  EXPECT_EQ(table.images[1].id, "images/1.jpg#7,2,30,40");
  EXPECT_EQ(table.images[1].crop, (Box{.x = 7, .y = 2, .width = 30, .height = 40}));
  EXPECT_EQ(table.captions[static_cast<std::size_t>(table.cases[0].captions[0])].id,
            "a on b");  // the true one first
}

// "near" is among the names that the published score leaves out.
TEST_F(Aro, AveragesRelationsWithoutTheSymmetricOnes) {
  write_relations({relation("on"), relation("on"), relation("on"), relation("above"), relation("near")});
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{0.6, 0.4}});
  set_scores(scores, 1, {{0.4, 0.6}});
  set_scores(scores, 2, {{0.5, 0.5}});  // a tie is wrong
  set_scores(scores, 3, {{0.6, 0.4}});
  set_scores(scores, 4, {{0.6, 0.4}});
  const std::vector<MetricMarks> marks = judge(table, scores);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "aro/vg_relation/macro")), (1.0 / 3 + 1) / 2);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "aro/vg_relation/micro_filtered")), 2.0 / 4);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "aro/vg_relation/micro")), 3.0 / 5);
  EXPECT_EQ(find_marks(marks, "aro/vg_relation/micro")->ties, 1);
  EXPECT_EQ(find_marks(marks, "aro/overall"), nullptr);  // half of it is not there
}

TEST_F(Aro, AveragesAttributePairsOfTwentyFiveCasesOrMore) {
  std::vector<std::string> entries(25, attribution("red", "blue"));
  entries.insert(entries.end(), 24, attribution("blue", "red"));  // another pair
  write_attributions(entries);
  const CaseTable table = load();
  CaseScores scores(table);
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    set_scores(scores, index, {{index < 10 || index >= 25 ? 0.9 : 0.1, 0.5}});
  }
  const std::vector<MetricMarks> marks = judge(table, scores);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "aro/vg_attribution/macro")), 10.0 / 25);
  EXPECT_EQ(find_marks(marks, "aro/vg_attribution/micro_filtered")->mark.size(), 25u);
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "aro/vg_attribution/micro")), 34.0 / 49);
}

TEST_F(Aro, OverallIsTheMeanOfRelationAndAttribution) {
  write_relations({relation("near"), relation("on"), relation("on"), relation("on")});
  write_attributions({attribution("red", "blue")});
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{0.9, 0.1}});
  for (std::size_t index = 1; index < 5; ++index) set_scores(scores, index, {{0.1, 0.9}});
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(judge(table, scores), "aro/overall")), (0.25 + 0) / 2);
}

TEST_F(Aro, CountsATieForTheTrueOrderAsRight) {
  put_image(folder_ / "coco" / "9.jpg");
  write_text(folder_ / "coco_order.json",
             R"([{"image": "coco/9.jpg", "caption_options": ["a b c", "b a c", "a c b", "a b c", "c a b"]},
                 {"image": "coco/9.jpg", "caption_options": ["a b", "b a", "b a", "b a", "b a"]}])");
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{0.5, 0.1, 0.2, 0.5, 0.3}});  // a shuffle that changed nothing
  set_scores(scores, 1, {{0.5, 0.6, 0.6, 0.6, 0.6}});
  const std::vector<MetricMarks> marks = judge(table, scores);
  EXPECT_EQ(find_marks(marks, "aro/coco_order/accuracy")->mark, (std::vector<double>{1, 0}));
  EXPECT_EQ(find_marks(marks, "aro/coco_order/accuracy")->ties, 1);
  EXPECT_EQ(table.cases[0].captions[3], table.cases[0].captions[0]);
}

TEST_F(Aro, LimitsEachPart) {
  write_relations({relation("on"), relation("on"), relation("on")});
  write_attributions({attribution("red", "blue"), attribution("red", "blue")});
  EXPECT_EQ(load(1).cases.size(), 2u);
}

TEST_F(Aro, RefusesMalformedRecords) {
  expect_error(ExitCode::kInput, {"visual_genome_relation.json", "coco_order.json"}, [&] { load(); });
  write_relations({relation("on"), boxed(R"("relation_name": 4)")});
  expect_error(ExitCode::kInput, {"visual_genome_relation.json: record 1", "'relation_name'"},
               [&] { load(); });
  write_relations({R"({"image_path": "1.jpg", "bbox_x": 1, "bbox_y": 2, "bbox_w": 0, "bbox_h": 40})"});
  expect_error(ExitCode::kInput, {"'bbox_w'", "got 0", "1 or more"}, [&] { load(); });
  write_text(folder_ / "visual_genome_relation.json", "{}");
  expect_error(ExitCode::kInput, {"a list of cases"}, [&] { load(); });
  std::filesystem::remove(folder_ / "visual_genome_relation.json");
  write_attributions({boxed(R"("attributes": ["red"])")});
  expect_error(ExitCode::kInput, {"'attributes'", "got 1", "expected 2"}, [&] { load(); });
  write_attributions({attribution("red", "blue")});
  write_text(folder_ / "flickr_order.json", R"([{"image": "x.jpg", "caption_options": ["a", "b"]}])");
  expect_error(ExitCode::kInput, {"flickr_order.json: record 0", "got 2", "expected 5"}, [&] { load(); });
}

TEST(AroSymmetricRelations, AreTheNotebooks) {
  for (const char* name : {"adjusting", "wrapped in", "by", "of", "near", "next to", "with", "beside",
                           "on the side of", "around"}) {
    EXPECT_TRUE(is_left_out_of_vg_relation(name)) << name;
  }
  for (const char* name : {"on", "to the left of", "above", "in", "holding"}) {
    EXPECT_FALSE(is_left_out_of_vg_relation(name)) << name;
  }
}

}  // namespace
}  // namespace sdsclip

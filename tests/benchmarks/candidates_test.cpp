#include "sdsclip/benchmarks/candidates.h"

#include <gtest/gtest.h>

#include "benchmarks/data_files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::put_image;
using testing::set_scores;
using testing::write_text;

class Candidates : public ::testing::Test {
 protected:
  void SetUp() override {
    put_image(folder_ / "images/a.png");
    put_image(folder_ / "images/b.png");
  }
  CaseTable load(const std::string& rows, const LoadOptions& limits = {}) {
    LoadOptions options = limits;
    options.data = folder_ / "images";
    write_text(table_, "filepath\ttitle\tneg_caption\n" + rows);
    return load_candidates(options, table_);
  }
  static std::vector<std::string> captions_of(const CaseTable& table, std::size_t index) {
    std::vector<std::string> captions;
    for (const std::int32_t row : table.cases[index].captions)
      captions.push_back(table.captions[static_cast<std::size_t>(row)].id);
    return captions;
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path table_ = folder_ / "candidates.tsv";
};

using Texts = std::vector<std::string>;

TEST_F(Candidates, PutTheOwnCaptionFirstAndEachOtherOnce) {
  const CaseTable table = load(
      "a.png\tred on blue\t['blue on red', 'red on blue', 'blue on red', '', 'red in blue']\n"
      "b.png\tblue on red\tred on blue\n");
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(captions_of(table, 0), (Texts{"red on blue", "blue on red", "red in blue"}));
  EXPECT_EQ(captions_of(table, 1), (Texts{"blue on red", "red on blue"}));
  EXPECT_EQ(table.captions.size(), 3u) << "a caption that two cases share is one row";
  EXPECT_EQ(table.images[1].id, "b.png");
  EXPECT_EQ(table.images[1].file, folder_ / "images/b.png");
}

TEST_F(Candidates, WithTheSameImageAndCaptionAreOneCase) {
  const CaseTable table = load(
      "a.png\tx on y\ty on x\n"
      "a.png\tx and y\ty and x\n"
      "a.png\tx on y\t['y on x', 'y on y']\n");
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(captions_of(table, 0), (Texts{"x on y", "y on x", "y on y"}));
  EXPECT_EQ(table.images.size(), 1u);
}

TEST_F(Candidates, RowsWithoutOneAreLeftOut) {
  const CaseTable table = load("a.png\ta dog\t[]\nb.png\tx on y\ty on x\na.png\ta cat\ta cat\n");
  ASSERT_EQ(table.cases.size(), 1u);
  EXPECT_EQ(table.images[0].id, "b.png");
}

TEST_F(Candidates, IfThereAreNoneTheErrorSaysWhatToDo) {
  expect_error(ExitCode::kInput, {"candidates.tsv", "neg_caption", "make_candidates.py"},
               [&] { load("a.png\ta dog\t[]\n"); });
  write_text(table_, "filepath\ttitle\na.png\ta dog\n");
  expect_error(ExitCode::kInput, {"neg_caption"},
               [&] { load_candidates({.data = folder_ / "images"}, table_); });
}

TEST_F(Candidates, OfAMissingImageNameTheRow) {
  const std::string rows = "a.png\tx on y\ty on x\nc.png\tx on y\ty on x\n";
  expect_error(ExitCode::kInput, {"candidates.tsv", "row 2", "c.png"}, [&] { load(rows); });
  const CaseTable table = load(rows, {.data = "", .skip_missing = true});
  EXPECT_EQ(table.cases.size(), 1u);
  EXPECT_EQ(table.skipped_missing, 1);
}

TEST_F(Candidates, StopAtTheLimit) {
  const std::string rows = "a.png\tx on y\ty on x\nb.png\tx on y\ty on x\n";
  EXPECT_EQ(load(rows, {.data = "", .limit = 1}).cases.size(), 1u);
  EXPECT_EQ(load(rows, {.data = "", .limit = 3}).cases.size(), 2u);
}

TEST_F(Candidates, AreJudgedByHowOftenTheOwnCaptionIsStrictlyBest) {
  const CaseTable table = load(
      "a.png\tx on y\t['y on x', 'z']\n"
      "a.png\tx and y\ty and x\n"
      "b.png\tx on y\ty on x\n");
  CaseScores scores(table);
  set_scores(scores, 0, {{-1, -2, -3}});
  set_scores(scores, 1, {{-2, -2}});
  set_scores(scores, 2, {{-3, -2}});
  const std::vector<MetricMarks> marks = captions_benchmark().judge(table, scores);
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].name, "captions/own_first");
  EXPECT_EQ(marks[0].mark, (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(marks[0].ties, 1);
}

TEST(CaptionsBenchmark, IsNotPartOfAll) {
  for (const Benchmark& benchmark : all_benchmarks()) EXPECT_NE(benchmark.name, captions_benchmark().name);
}

}  // namespace
}  // namespace sdsclip

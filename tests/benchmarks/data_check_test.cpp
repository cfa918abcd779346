#include "sdsclip/benchmarks/data_check.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "benchmarks/data_files.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::put_image;
using testing::write_text;

TEST(DataCheck, CountsPartsBesideThePublishedAndNamesMissingImages) {
  const testing::TemporaryFolder folder;
  std::string lines;
  for (int id = 0; id < 3; ++id) {
    lines += fmt::format(
        R"({{"id": {0}, "image_0": "{0}a", "image_1": "{0}b", "caption_0": "x", "caption_1": "y",)"
        R"( "collapsed_tag": "{1}"}})"
        "\n",
        id, id == 0 ? "Object" : "Relation");
    put_image(folder / "images" / fmt::format("{}a.png", id));
    if (id != 2) put_image(folder / "images" / fmt::format("{}b.png", id));
  }
  write_text(folder / "examples.jsonl", lines);
  const DataReport report = check_data(find_benchmark("winoground"), folder.path());
  EXPECT_EQ(report.images, 5);
  EXPECT_EQ(report.captions, 2);
  EXPECT_EQ(report.skipped_missing, 1);
  EXPECT_EQ(report.missing_files, (std::vector<std::filesystem::path>{folder / "images" / "2b.png"}));
  ASSERT_EQ(report.parts.size(), 6u);
  EXPECT_EQ(report.parts[0].name, "all");
  EXPECT_EQ(report.parts[0].cases, 2);
  EXPECT_EQ(report.parts[0].published, 400);
  EXPECT_EQ(report.parts[1].name, "tag/Object");
  EXPECT_EQ(report.parts[1].cases, 1);
  EXPECT_FALSE(report.is_complete());
}

TEST(DataCheck, IsCompleteIfNothingIsPublishedOrMissing) {
  const testing::TemporaryFolder folder;
  write_text(folder / "classnames.txt", "cat\n");
  write_text(folder / "templates.txt", "a {c}\n");
  put_image(folder / "cat" / "1.png");
  const DataReport report = check_data(find_benchmark("zeroshot"), folder.path());
  ASSERT_EQ(report.parts.size(), 1u);
  EXPECT_EQ(report.parts[0].cases, 1);
  EXPECT_TRUE(report.is_complete());
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/reporting/table.h"

#include <gtest/gtest.h>

namespace sdsclip {
namespace {

Metric text_score() {
  return {
      .name = "winoground/text", .value = 0.31, .n = 400, .ci95 = {.low = 0.265, .high = 0.3556}, .ties = 2};
}

TEST(Table, AlignsTheFirstColumnLeftAndNumbersRight) {
  const Table table{.header = {"run", "text"}, .rows = {{"pretrained", "0.3"}, {"sds", "0.315"}}};
  EXPECT_EQ(format_terminal(table),
            "run          text\n"
            "----------  -----\n"
            "pretrained    0.3\n"
            "sds         0.315\n");
}

TEST(Table, CountsWideAndCombiningLettersLikeTheTerminal) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("\u00e9"), 1u);      // e with acute accent, one code point
  EXPECT_EQ(display_width("e\u0301"), 1u);     // e and a combining acute accent
  EXPECT_EQ(display_width("\u732b"), 2u);      // a CJK ideograph
  EXPECT_EQ(display_width("\U0001F600"), 2u);  // an emoji
  EXPECT_EQ(display_width("\xff"), 1u);
}

TEST(Table, EscapesBarsInMarkdown) {
  const Table table{.header = {"name", "n"}, .rows = {{"a|b", "3"}}};
  EXPECT_EQ(format_markdown(table), "| name | n |\n| --- | ---: |\n| a\\|b | 3 |\n");
}

TEST(Table, FormatsAMetricWithItsInterval) {
  EXPECT_EQ(format_with_interval(text_score()), "0.310 [0.265, 0.356]");
}

TEST(Table, ListsEveryMetricOfARun) {
  const Table table = metric_table(std::vector<Metric>{text_score()});
  EXPECT_EQ(table.rows,
            (std::vector<std::vector<std::string>>{{"winoground/text", "0.310 [0.265, 0.356]", "400", "2"}}));
}

TEST(Table, ShowsADashIfARunLacksAMetric) {
  const std::vector<NamedMetrics> runs = {{.name = "a", .metrics = {text_score()}},
                                          {.name = "b", .metrics = {}}};
  const Table table = comparison_table(runs, std::vector<std::string>{"winoground/text"});
  EXPECT_EQ(table.rows[0][1], "0.310 [0.265, 0.356]");
  EXPECT_EQ(table.rows[1][1], "-");
}

TEST(Table, SignsDifferences) {
  PairedDifference difference;
  difference.name = "winoground/text";
  difference.n = 400;
  difference.value_a = 0.25;
  difference.value_b = 0.31;
  difference.difference = 0.06;
  difference.ci95 = {.low = -0.01, .high = 0.13};
  difference.only_a_right = 20;
  difference.only_b_right = 44;
  difference.p_value = 0.00367;
  const Table table = difference_table(std::vector<PairedDifference>{difference});
  EXPECT_EQ(table.rows[0],
            (std::vector<std::string>{"winoground/text", "0.250", "0.310", "+0.060 [-0.010, +0.130]", "20",
                                      "44", "0.00367", "400", "not shown"}));
}

TEST(Table, NamesTheFirstMissingFilesOfADataSet) {
  DataReport report;
  report.benchmark = "winoground";
  report.data = "wg";
  report.images = 794;
  report.captions = 800;
  report.parts = {{.name = "all", .cases = 394, .published = 400},
                  {.name = "x", .cases = 3, .published = std::nullopt}};
  report.skipped_missing = 6;
  for (const char* name : {"1", "2", "3", "4", "5", "6"}) report.missing_files.push_back(name);
  EXPECT_EQ(format_data_report(report),
            "winoground in wg: 794 images, 800 captions\n"
            "part  cases here  cases published\n"
            "----  ----------  ---------------\n"
            "all          394              400\n"
            "x              3                -\n"
            "6 images are missing; 6 cases need them:\n"
            "  1\n  2\n  3\n  4\n  5\n"
            "  and 1 more\n");
}

TEST(FormatTerminal, EscapesTerminalControls) {
  const Table table{.header = {"run", "\x1b]0;owned\a"},
                    .rows = {{"a\x1b[2Jb\xff", "\u732b\u202e"}, {"c\nd", "1"}}};
  for (const std::string& text : {format_terminal(table), format_markdown(table)}) {
    for (const char* part : {"a\\x1b[2Jb\\xff", "\\x1b]0;owned\\x07", "\u732b\\u202e", "c\\x0ad"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    }
    EXPECT_EQ(text.find_first_of("\x1b\a\xff"), std::string::npos);
  }
}

TEST(FormatDataReport, ShowsNamesOfFilesWithoutControlCharacters) {
  DataReport report;
  report.benchmark = "aro";
  report.data = "data\x1b[31m";
  report.missing_files = {"a\nb.jpg"};
  const std::string text = format_data_report(report);
  EXPECT_NE(text.find("data\\x1b[31m"), std::string::npos);
  EXPECT_NE(text.find("a\\x0ab.jpg"), std::string::npos);
}

}  // namespace
}  // namespace sdsclip

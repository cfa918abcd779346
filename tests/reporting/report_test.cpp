#include "sdsclip/reporting/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "sdsclip/reporting/published.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;

RunResult winoground_result(double text_score) {
  RunResult result;
  result.command = "eval";
  result.benchmark = "winoground";
  result.model = {.name = "a <b> & \"c\"", .sha256 = "0"};
  result.matches = 1600;
  result.seconds_a_match = text_score / 100;
  result.metrics = {{.name = "winoground/text",
                     .value = text_score,
                     .n = 400,
                     .ci95 = {.low = 0.2, .high = 0.4},
                     .ties = 0}};
  return result;
}

class Report : public ::testing::Test {
 protected:
  void write_log(const std::filesystem::path& run, const std::string& lines) {
    std::filesystem::create_directories(folder_ / run);
    std::ofstream(folder_ / run / "log.jsonl") << lines;
  }
  void write_run(const std::filesystem::path& run, double text_score) {
    std::filesystem::create_directories(folder_ / run);
    write_result(folder_ / run / "result.json", winoground_result(text_score));
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Report, ReadsARunOrTheRunsBelowAFolder) {
  write_run("all/winoground", 0.3);
  write_run("all/aro", 0.4);
  write_log("training", R"({"step": 1, "loss": {"total": 2.5, "sds": 1}})"
                        "\n"
                        R"({"step": 2, "loss": {"total": 2.25, "sds": null}})"
                        "\n");
  const std::vector<ReportRun> below = read_runs(folder_ / "all");
  ASSERT_EQ(below.size(), 2u);
  EXPECT_EQ(below[0].name, (folder_ / "all" / "aro").string());
  const std::vector<ReportRun> training = read_runs(folder_ / "training");
  ASSERT_EQ(training.size(), 1u);
  EXPECT_FALSE(training[0].result.has_value());
  ASSERT_EQ(training[0].losses.size(), 2u);
  EXPECT_EQ(training[0].losses[0].values, (std::vector<double>{2.5, 2.25}));
  EXPECT_EQ(training[0].losses[1].steps, (std::vector<std::int64_t>{1}));
}

TEST_F(Report, RefusesFoldersWithoutARunAndDamagedLogs) {
  expect_error(ExitCode::kInput, {"absent", "no run here"}, [&] { read_runs(folder_ / "absent"); });
  write_log("training", "{\"step\": 1}\n");
  expect_error(ExitCode::kInput, {"log.jsonl: line 1"}, [&] { read_runs(folder_ / "training"); });
}

TEST_F(Report, ShowsMetricsBesideThePapersAndTimesPerMatch) {
  const std::vector<ReportRun> runs = {{.name = "clip", .result = winoground_result(0.3125), .losses = {}},
                                       {.name = "teacher", .result = winoground_result(0.625), .losses = {}}};
  const std::string page = html_report(runs);
  EXPECT_NE(page.find("<td>0.312 [0.200, 0.400]</td>"), std::string::npos);
  EXPECT_NE(page.find("<td>measured: clip</td>"), std::string::npos);
  EXPECT_NE(page.find("<td>Table 1: ViT-B/16 (CLIP)</td><td>FT with L_CLIP + L_SDS</td><td>0.31</td>"),
            std::string::npos);
  EXPECT_NE(page.find("<td>clip</td><td>eval</td><td>winoground</td><td>1600</td><td>3.125</td><td>1.0</td>"),
            std::string::npos);
}

ReportRun timed(const std::string& name, const std::string& command, const std::string& benchmark,
                double seconds) {
  RunResult result = winoground_result(0.5);
  result.command = command;
  result.benchmark = benchmark;
  result.seconds_a_match = seconds;
  return {.name = name, .result = result, .losses = {}};
}

TEST(TimeTable, ComparesWithTheFastestClipRunOfTheSameBenchmark) {
  const std::vector<ReportRun> runs = {timed("slow clip", "eval", "winoground", 0.004),
                                       timed("clip", "eval", "winoground", 0.002),
                                       timed("teacher", "diffusion-score", "winoground", 0.036),
                                       timed("alone", "diffusion-score", "aro", 0.001),
                                       timed("old", "eval", "aro", 0)};  // written before times were
  const Table table = time_table(runs);
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[0].back(), "2.0");
  EXPECT_EQ(table.rows[1].back(), "1.0");
  EXPECT_EQ(table.rows[2],
            (std::vector<std::string>{"teacher", "diffusion-score", "winoground", "1600", "36", "18.0"}));
  EXPECT_EQ(table.rows[3].back(), "-");
  EXPECT_TRUE(time_table({}).rows.empty());
}

TEST_F(Report, NeedsNoOtherFileAndEscapesNames) {
  const std::vector<ReportRun> runs = {{.name = "x", .result = winoground_result(0.3), .losses = {}}};
  const std::string page = html_report(runs);
  EXPECT_NE(page.find("a &lt;b&gt; &amp; &quot;c&quot;"), std::string::npos);
  for (const char* outside : {"http:", "https:", "src=", "href=", "@import", "url("}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
}

TEST_F(Report, InterruptsLossCurvesAtValuesThatAreNotFinite) {
  const std::vector<ReportRun> runs = {
      {.name = "t",
       .result = std::nullopt,
       .losses = {{.name = "total", .steps = {1, 2, 3}, .values = {1.0, std::nan(""), 0.5}}}}};
  const std::string page = html_report(runs);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  const std::size_t first = page.find("<polyline");
  EXPECT_NE(first, std::string::npos);
  EXPECT_NE(page.find("<polyline", first + 1), std::string::npos);
  EXPECT_EQ(page.find("Beside the paper"), std::string::npos);  // no run compares with the paper
}

// Sums over the paper's columns, added up from its Table 1 by hand.
TEST(Published, HasTheRowsOfTablesOneToThree) {
  const std::span<const PublishedRow> rows = published_rows();
  ASSERT_EQ(rows.size(), 20u);
  double overall = 0;
  double both = 0;
  for (const PublishedRow& row : rows.first(15)) {
    overall += *row.values[0];
    both += *row.values[3];
  }
  EXPECT_NEAR(overall, 4.055, 1e-9);
  EXPECT_NEAR(both, 8.80, 1e-9);
  EXPECT_FALSE(rows[15].values[6].has_value());
}

}  // namespace
}  // namespace sdsclip

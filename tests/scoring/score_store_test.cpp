#include "sdsclip/scoring/score_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "scoring/case_tables.h"
#include "sdsclip/base/files.h"
#include "sdsclip/scoring/stored_marks.h"
#include "sqlite.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::swap_table;

RunIdentity identity(const std::string& t_max = "1.0") {
  return {.scorer = "diffusion",
          .benchmark = "winoground",
          .model_name = "tiny",
          .model_sha256 = "abc",
          .settings = {{"sampling.t_max", t_max}, {"sampling.seed", "0"}}};
}

class Store : public ::testing::Test {
 protected:
  ScoreStore open(StoreOpening opening, const RunIdentity& run = identity()) {
    return ScoreStore(path_, run, table_, opening);
  }
  std::string query(const std::string& sql) { return Database(path_, Database::Mode::kExisting).text(sql); }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "scores.sqlite";
  CaseTable table_ = swap_table(2);
};

TEST_F(Store, GivesBackTheErrorsInOrderAndAddsUpTheWork) {
  {
    ScoreStore store = open(StoreOpening::kNew);
    store.write_errors(std::vector<SampleErrorRow>{{1, 2, 0, 3.5, 1.25}, {0, 1, 1, 2.5, 0.5}},
                       {.unet_evaluations = 2, .seconds = 0.5});
    store.write_errors(std::vector<SampleErrorRow>{{0, 1, 0, 1.5, 0.75}},
                       {.unet_evaluations = 1, .vae_encodings = 4, .seconds = 0.25});
  }
  const ScoreStore store = open(StoreOpening::kResume);
  const std::vector<SampleErrorRow> rows = store.read_errors();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].error, 1.5);
  EXPECT_EQ(rows[1].sample, 1);
  EXPECT_EQ(rows[2].image, 1);
  EXPECT_EQ(rows[2].error_l1, 1.25);
  EXPECT_EQ(store.work().unet_evaluations, 3);
  EXPECT_EQ(store.work().vae_encodings, 4);
  EXPECT_EQ(store.work().seconds, 0.75);
}

TEST_F(Store, ShowsUsersTheErrorsWithTheirNames) {
  {
    ScoreStore store = open(StoreOpening::kNew);
    store.write_sample_points(std::vector<SamplePoint>{{500, 0.25}, {250, 0.5}});
    store.write_errors(std::vector<SampleErrorRow>{{3, 3, 1, 3.5, 1.25}, {3, 4, 1, 9.0, 8.0}}, {});
  }
  EXPECT_EQ(query("SELECT image || '/' || caption || '/' || timestep || '/' || error || '/' || error_l1 "
                  "FROM sample_error WHERE caption <> ''"),
            "images/1b.png/caption 1b/250/3.5/1.25");
  EXPECT_EQ(query("SELECT error FROM sample_error WHERE caption = ''"), "9.0");
}

TEST_F(Store, ShowsUsersTheScoresOfEveryCase) {
  {
    ScoreStore store = open(StoreOpening::kNew);
    CaseScores scores(table_);
    scores.set(1, 0, 1, -2.5);
    store.write_scores(table_, scores);
    store.write_scores(table_, scores);  // replaces and does not add
    store.write_marks(std::vector<MetricMarks>{
        {.name = "winoground/text", .case_index = {0, 1}, .mark = {0.0, 1.0}, .group = {}, .ties = 0}});
  }
  EXPECT_EQ(query("SELECT count(*) FROM pair_score"), "8");
  EXPECT_EQ(query("SELECT score FROM pair_score WHERE case_id = 'case 1' AND image = 'images/1a.png' "
                  "AND caption = 'caption 1b'"),
            "-2.5");
  EXPECT_EQ(query("SELECT mark FROM case_mark WHERE case_id = 'case 1' AND metric = 'winoground/text'"),
            "1.0");
}

TEST_F(Store, GivesBackEmbeddingsBitForBitAndNamesAMissingUnit) {
  ScoreStore store = open(StoreOpening::kNew);
  const std::vector<float> values = {1.0F, -0.0F, 1.0e-40F, 3.4e38F};
  store.write_embeddings(EmbeddingKind::kImage, 7, values, {.image_encodings = 2});
  EXPECT_EQ(store.embedding_units(EmbeddingKind::kImage), std::set<std::int64_t>{7});
  EXPECT_TRUE(store.embedding_units(EmbeddingKind::kText).empty());
  EXPECT_EQ(store.read_embeddings(EmbeddingKind::kImage, 7), values);
  expect_error(ExitCode::kInput, {"unit 7", "text", "--resume"},
               [&] { (void)store.read_embeddings(EmbeddingKind::kText, 7); });
}

TEST_F(Store, RemembersChoices) {
  ScoreStore store = open(StoreOpening::kNew);
  EXPECT_FALSE(store.choice("micro_batch").has_value());
  store.keep_choice("micro_batch", 16);
  EXPECT_EQ(store.choice("micro_batch"), 16);
}

TEST_F(Store, OfTheSameRunIsContinued) {
  open(StoreOpening::kNew).keep_choice("micro_batch", 16);
  EXPECT_EQ(open(StoreOpening::kNew).choice("micro_batch"), 16);
}

TEST_F(Store, ContinuesWithAnotherBatchSizeIfAsked) {
  RunIdentity small = identity();
  small.settings.emplace_back("micro_batch", "8");
  open(StoreOpening::kNew, small);
  small.settings.back().second = "4";
  expect_error(ExitCode::kUsage, {"micro_batch is 8", "this run's is 4", "--resume", "--out"},
               [&] { open(StoreOpening::kNew, small); });
  ScoreStore store = open(StoreOpening::kResume, small);
  store.change_setting("micro_batch", "4");
  EXPECT_EQ(store.identity().settings.back().second, "4");
  EXPECT_EQ(open(StoreOpening::kNew, small).identity().settings.back().second, "4");
}

TEST_F(Store, NamesTheOptionThatChangedTheCases) {
  RunIdentity run = identity();
  run.data = {{"--limit", "2"}, {"--data", "a"}};
  open(StoreOpening::kNew, run);
  table_ = swap_table(1);
  run.data = {{"--limit", "1"}, {"--data", "b"}};
  expect_error(ExitCode::kUsage, {"another run", "--limit is 2", "this run's is 1"},
               [&] { open(StoreOpening::kNew, run); });
  run.data = {{"--limit", "2"}, {"--data", "a"}};  // the data are no longer the same
  expect_error(ExitCode::kUsage, {"2 cases, 4 images", "has 1, 2 and 2"},
               [&] { open(StoreOpening::kNew, run); });
  table_ = swap_table(2);
  run.data = {{"--limit", "0"}, {"--data", "elsewhere"}};
  EXPECT_EQ(open(StoreOpening::kNew, run).identity().data.size(), 2u);
}

TEST_F(Store, RefusesAnotherRunAndSaysWhatDiffers) {
  open(StoreOpening::kNew);
  expect_error(ExitCode::kUsage, {"another run", "sampling.t_max is 1.0", "0.9"},
               [&] { open(StoreOpening::kResume, identity("0.9")); });
  expect_error(ExitCode::kUsage, {"another run", "sampling.t_max is 1.0", "0.9"},
               [&] { open(StoreOpening::kNew, identity("0.9")); });
  RunIdentity other = identity();
  other.model_sha256 = "def";
  expect_error(ExitCode::kUsage, {"another run", "SHA-256", "abc", "def"},
               [&] { open(StoreOpening::kResume, other); });
  other = identity();
  other.settings.emplace_back("resize", "squash");
  expect_error(ExitCode::kUsage, {"resize is not set", "squash"},
               [&] { open(StoreOpening::kResume, other); });
  table_ = swap_table(1);
  expect_error(ExitCode::kUsage, {"another run", "--limit"}, [&] { open(StoreOpening::kResume); });
}

TEST_F(Store, IsJudgedWithoutTheModelButNotAsAnotherBenchmark) {
  expect_error(ExitCode::kInput, {"no such file", "--judge-only"}, [&] { open(StoreOpening::kJudge); });
  open(StoreOpening::kNew);
  RunIdentity judged{
      .scorer = "diffusion", .benchmark = "winoground", .model_name = "", .model_sha256 = "", .settings = {}};
  EXPECT_EQ(open(StoreOpening::kJudge, judged).identity().model_sha256, "abc");
  judged.benchmark = "aro";
  expect_error(ExitCode::kInput, {"benchmark", "winoground", "aro"},
               [&] { open(StoreOpening::kJudge, judged); });
}

TEST_F(Store, RefusesForeignAndDamagedFiles) {
  std::ofstream(path_) << "";
  expect_error(ExitCode::kInput, {"not a score store"}, [&] { open(StoreOpening::kResume); });
  std::ofstream(path_) << "this is a text file and no data base at all, whatever its name may say";
  expect_error(ExitCode::kInput, {"damaged or not an SQLite file"}, [&] { open(StoreOpening::kResume); });
  std::filesystem::remove(path_);
  Database(path_, Database::Mode::kCreate).execute("CREATE TABLE other (a)");
  expect_error(ExitCode::kInput, {"not a score store"}, [&] { open(StoreOpening::kResume); });
}

/// A complete diffusion store of two cases with two samples.
void fill(ScoreStore& store, const CaseTable& table) {
  store.keep_choice("train_timesteps", 1000);
  store.write_sample_points(std::vector<SamplePoint>{{500, 0.25}, {250, 0.5}});
  store.write_errors(std::vector<SampleErrorRow>{{0, 0, 0, 1.5, 0.75}, {0, 0, 1, 2.5, 0.5}}, {});
  store.write_scores(table, CaseScores(table));
  store.write_marks(std::vector<MetricMarks>{
      {.name = "a/macro", .case_index = {0, 1}, .mark = {0.0, 1.0}, .group = {0, 3}, .ties = 0},
      {.name = "a/text", .case_index = {0, 1}, .mark = {0.0, 1.0}, .group = {}, .ties = 0}});
}

TEST_F(Store, NamesTableRowAndColumnOfAnImpossibleValue) {
  const auto read_all = [&] {
    const ScoreStore store = open(StoreOpening::kResume);
    (void)store.choice("train_timesteps");
    (void)store.read_sample_points();
    (void)store.read_errors();
    (void)store.work();
    (void)read_stored_marks(path_);
  };
  const auto expect_refused = [&](const std::string& damage, std::initializer_list<std::string> parts) {
    std::filesystem::remove(path_);
    {
      ScoreStore store = open(StoreOpening::kNew);
      fill(store, table_);
    }
    read_all();
    Database(path_, Database::Mode::kExisting).execute(damage);
    expect_error(ExitCode::kInput, parts, read_all);
  };
  expect_refused("UPDATE mark SET macro_group = -1 WHERE rowid = 2",
                 {"scores.sqlite", "table mark, row 2, column macro_group", "got -1", "from 0"});
  expect_refused("UPDATE mark SET macro_group = 0 WHERE rowid = 4", {"row 4", "got 0", "from -1 to -1"});
  expect_refused("UPDATE mark SET macro_group = -2 WHERE rowid = 1", {"row 1", "got -2"});
  expect_refused("UPDATE mark SET macro_group = 4294967296 WHERE rowid = 1", {"got 4294967296"});
  expect_refused("UPDATE mark SET mark = 9e999 WHERE rowid = 1", {"row 1, column mark", "got inf", "at most 1"});
  expect_refused("UPDATE mark SET mark = 0.5 WHERE rowid = 1", {"row 1, column mark", "got 0.5", "0 or 1"});
  expect_refused("UPDATE mark SET mark = 1.5 WHERE rowid = 1", {"column mark", "1.5"});
  expect_refused("UPDATE mark SET mark = 'x' WHERE rowid = 1", {"column mark", "got a text"});
  expect_refused("UPDATE mark SET case_id = 2 WHERE rowid = 1", {"column case_id", "got 2", "from 0 to 1"});
  expect_refused("UPDATE mark SET metric = 'a/text' WHERE rowid = 1", {"row 3, column metric", "once more"});
  expect_refused("UPDATE sample_point SET timestep = -1000 WHERE sample = 0",
                 {"table sample_point, row 1, column timestep", "got -1000", "from 0 to 999"});
  expect_refused("UPDATE sample_point SET timestep = 1000 WHERE sample = 1", {"row 2", "got 1000"});
  expect_refused("UPDATE sample_point SET sample = 7 WHERE sample = 1", {"column sample", "got 7"});
  expect_refused("UPDATE sample_point SET alpha_cumprod = -0.5 WHERE sample = 1", {"alpha_cumprod", "-0.5"});
  expect_refused("UPDATE error SET error = 9e999 WHERE sample = 1",
                 {"table error, row 2, column error", "inf"});
  expect_refused("UPDATE error SET error = 1e200 WHERE sample = 1", {"column error", "1e+200"});
  expect_refused("UPDATE error SET error_l1 = -1.0 WHERE sample = 1", {"column error_l1", "got -1"});
  expect_refused("UPDATE error SET image_id = 4 WHERE sample = 1", {"column image_id", "from 0 to 3"});
  expect_refused("UPDATE error SET text_id = -1 WHERE sample = 1", {"column text_id", "from 0 to 4"});
  expect_refused("UPDATE error SET sample = 4294967297 WHERE sample = 1", {"column sample", "4294967297"});
  expect_refused("UPDATE work SET seconds = 9e999", {"table work", "column seconds", "inf"});
  expect_refused("UPDATE work SET unet_evaluations = -1", {"table work", "unet_evaluations", "-1"});
  expect_refused("DELETE FROM work", {"table work is empty"});
  expect_refused("UPDATE choice SET value = -5 WHERE key = 'train_timesteps'",
                 {"table choice, row train_timesteps, column value", "got -5"});
  expect_refused("DELETE FROM run WHERE key = 'model'", {"table run", "model"});
  expect_refused("UPDATE setting SET value = x'00ff' WHERE position = 0",
                 {"table setting, row 1", "2 bytes"});
  expect_refused("DROP TABLE mark; CREATE VIEW mark AS SELECT 1 AS metric", {"no table mark"});
  expect_refused("ALTER TABLE mark RENAME COLUMN macro_group TO other", {"scores.sqlite", "macro_group"});
}

TEST_F(Store, RefusesEmbeddingsOfAnotherSizeOrWithNonFiniteValues) {
  ScoreStore store = open(StoreOpening::kNew);
  store.write_embeddings(EmbeddingKind::kImage, 0, std::vector<float>{1, 2, 3, 4}, {});
  EXPECT_EQ(store.read_embeddings(EmbeddingKind::kImage, 0, 4).size(), 4u);
  expect_error(ExitCode::kInput, {"table embedding, row image 0, column data", "16 bytes", "expected 32"},
               [&] { (void)store.read_embeddings(EmbeddingKind::kImage, 0, 8); });
  const float infinite = std::numeric_limits<float>::infinity();
  store.write_embeddings(EmbeddingKind::kText, 1, std::vector<float>{1, infinite}, {});
  expect_error(ExitCode::kInput, {"row text 1", "inf as number 1"},
               [&] { (void)store.read_embeddings(EmbeddingKind::kText, 1, 2); });
}

TEST_F(Store, RefusesAHalfCopiedFile) {
  {
    ScoreStore store = open(StoreOpening::kNew);
    store.write_embeddings(EmbeddingKind::kImage, 0, std::vector<float>(20'000, 1.0F), {});
  }
  const std::string whole = read_file(path_);
  for (const std::size_t part : {whole.size() / 4, whole.size() / 2, whole.size() - 100}) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole.substr(0, part);
    expect_error(ExitCode::kInput, {"damaged"}, [&] { open(StoreOpening::kResume); });
  }
}

TEST_F(Store, RefusesAnUnknownVersion) {
  open(StoreOpening::kNew);
  Database(path_, Database::Mode::kExisting).execute("PRAGMA user_version=3");
  expect_error(ExitCode::kInput, {"version 3", "expected 2"}, [&] { open(StoreOpening::kResume); });
}

TEST_F(Store, KeepsItsSamplePoints) {
  ScoreStore store = open(StoreOpening::kNew);
  store.write_sample_points(std::vector<SamplePoint>{{500, 0.25}});
  store.write_sample_points(std::vector<SamplePoint>{{500, 0.25}, {250, 0.5}});
  EXPECT_EQ(store.read_sample_points().size(), 2u);
  expect_error(ExitCode::kInput, {"sample 1", "250", "251"}, [&] {
    store.write_sample_points(std::vector<SamplePoint>{{500, 0.25}, {251, 0.5}});
  });
}

TEST_F(Store, KeepsAllCompleteUnitsThroughAKill) {
  open(StoreOpening::kNew);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ScoreStore store = open(StoreOpening::kResume);
    for (std::int32_t k = 0; k < 1000; ++k) {
      store.write_errors(std::vector<SampleErrorRow>{{0, 1, k, 1.0 * k, 0.0}, {0, 2, k, 1.0 * k, 0.0}}, {});
      if (k == 20 && ::write(ready[1], "x", 1) != 1) ::_exit(1);
    }
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  const std::vector<SampleErrorRow> rows = open(StoreOpening::kResume).read_errors();
  EXPECT_GE(rows.size(), 42u);
  EXPECT_EQ(rows.size() % 2, 0u);  // units are whole
}

TEST_F(Store, LeavesNothingIfKilledDuringCreation) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  for (const char* companion : {"", "-journal"}) {
    std::ofstream(path_.string() + ".tmp-" + std::to_string(child) + companion) << "half";
  }
  open(StoreOpening::kNew);
  std::vector<std::string> names;
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(folder_.path())) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_EQ(names, std::vector<std::string>{"scores.sqlite"});
}

TEST_F(Store, SaysThatTheDiskIsFullAndKeepsWhatWasWritten) {
  open(StoreOpening::kNew);
  const pid_t child = ::fork();
  if (child == 0) {
    // A file-size limit simulates a full disk.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 300'000, .rlim_max = 300'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      ScoreStore store = open(StoreOpening::kResume);
      for (std::int64_t unit = 0; unit < 100; ++unit) {
        store.write_embeddings(EmbeddingKind::kImage, unit, std::vector<float>(4'000, 1.0F), {});
      }
    } catch (const Error& error) {
      const bool says_so = std::string(error.what()).find("free some space") != std::string::npos;
      ::_exit(says_so ? static_cast<int>(error.exit_code()) : 1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitCode::kRuntime));
  const ScoreStore store = open(StoreOpening::kResume);
  EXPECT_GT(store.embedding_units(EmbeddingKind::kImage).size(), 3u);
  EXPECT_EQ(store.read_embeddings(EmbeddingKind::kImage, 2), std::vector<float>(4'000, 1.0F));
}

}  // namespace
}  // namespace sdsclip

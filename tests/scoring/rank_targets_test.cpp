#include "sdsclip/scoring/rank_targets.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scoring/tiny_models.h"
#include "sdsclip/base/error.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/scoring/diffusion_scorer.h"
#include "sqlite.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using Texts = std::vector<std::string>;

constexpr std::int64_t kLatentElements = 2 * 4 * 4;  // of the tiny teacher

/// To be called in a process of its own: root can write everywhere.
bool can_read_targets_as_nobody(const fs::path& folder) noexcept {
  if (::geteuid() == 0 && ::setuid(65534) != 0) return false;
  const std::optional<RankCandidates> found = RankTargets(folder).find("y.raw", "a");
  return found && found->captions == Texts{"a", "a b"};
}

/// Two images; the captions "a" (of both) and "b a" (of the first) with candidates.
class Targets : public ::testing::Test {
 protected:
  Targets() {
    for (const char* id : {"x.raw", "y.raw"}) {
      table_.images.push_back(
          testing::put_pixels(folder_.path(), id, static_cast<int>(table_.images.size())));
    }
    for (const char* caption : {"a", "b a", "a b", "b"}) {
      table_.captions.push_back({.id = caption, .texts = {caption}});
    }
    const auto add = [this](const char* id, std::int32_t image, std::vector<std::int32_t> captions) {
      table_.cases.push_back(
          {.id = id, .images = {image}, .captions = std::move(captions), .positives = {0}, .tags = {}});
    };
    add("0", 0, {0, 3});
    add("1", 0, {1, 2, 3});
    add("2", 1, {0, 2});
    options_.sampling.samples = 3;
    options_.quiet = true;
  }

  /// Scores the table with the tiny teacher into the store at `path_`.
  DiffusionScoring score(const std::string& benchmark = "captions") {
    DiffusionTeacher teacher(testing::write_tiny_teacher(folder_ / "teacher", "epsilon"), {}, Placement());
    ScoreStore store(path_, diffusion_run_identity(teacher, benchmark, options_), table_, StoreOpening::kNew);
    return score_with_diffusion(teacher, table_, options_, store);
  }

  testing::TemporaryFolder folder_;
  fs::path path_ = folder_ / "scores.sqlite";
  CaseTable table_;
  DiffusionScoreOptions options_;
};

TEST_F(Targets, AreTheStoredErrorsMeansOverSamplesAndLatent) {
  score();
  const RankTargets targets(folder_.path());
  EXPECT_EQ(targets.size(), 3);
  const std::optional<RankCandidates> found = targets.find("x.raw", "b a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->captions, (Texts{"b a", "a b", "b"}));
  ASSERT_EQ(found->distances.size(), 3u);
  Database database(path_, Database::Mode::kExisting);
  Statement mean =
      database.prepare("SELECT sum(error) FROM sample_error WHERE image = 'x.raw' AND caption = ?");
  for (std::size_t i = 0; i < 3; ++i) {
    mean.start(std::string_view(found->captions[i]));
    ASSERT_TRUE(mean.step());
    EXPECT_FLOAT_EQ(found->distances[i], static_cast<float>(mean.real(0) / 3 / kLatentElements));
  }
}

TEST_F(Targets, AreDistinguishedByImageAndByCaption) {
  score();
  const RankTargets targets(path_);
  EXPECT_EQ(targets.find("x.raw", "a")->captions, (Texts{"a", "b"}));
  EXPECT_EQ(targets.find("y.raw", "a")->captions, (Texts{"a", "a b"}));
  EXPECT_NE(targets.find("x.raw", "a")->distances[0], targets.find("y.raw", "a")->distances[0]);
  EXPECT_FALSE(targets.find("y.raw", "b a"));
  EXPECT_FALSE(targets.find("x.raw", "a b")) << "a candidate is no caption of its own";
  EXPECT_FALSE(targets.find("x.raw", "a ")) << "captions are equal to the letter or not";
}

TEST_F(Targets, FollowTheRunsEstimator) {
  options_.estimator.error = ErrorTarget::kV;
  score();
  const RankTargets targets(path_);
  Database database(path_, Database::Mode::kExisting);
  Statement mean = database.prepare(
      "SELECT sum(error.error / sample_point.alpha_cumprod) FROM error "
      "JOIN sample_point ON sample_point.sample = error.sample WHERE image_id = 1 AND text_id = 0");
  ASSERT_TRUE(mean.step());
  EXPECT_FLOAT_EQ(targets.find("y.raw", "a")->distances[0],
                  static_cast<float>(mean.real(0) / 3 / kLatentElements));
}

TEST_F(Targets, AreReadFromAReadOnlyFolder) {
  score();
  const fs::path folder = folder_ / "with %41 and ?";
  fs::create_directory(folder);
  fs::copy_file(path_, folder / "scores.sqlite");
  fs::permissions(folder / "scores.sqlite", fs::perms(0444));
  fs::permissions(folder, fs::perms(0555));
  fs::permissions(folder_.path(), fs::perms(0755));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(can_read_targets_as_nobody(folder) ? 0 : 1);
  int status = -1;
  ::waitpid(child, &status, 0);
  fs::permissions(folder, fs::perms::owner_all);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(fs::exists(folder / "scores.sqlite-wal"));
}

TEST_F(Targets, AreNotTakenFromAnotherBenchmarksScores) {
  score("winoground");
  expect_error(ExitCode::kInput, {"scores.sqlite", "'winoground'", "diffusion-score captions"},
               [&] { RankTargets targets(path_); });
}

TEST_F(Targets, AreNotTakenFromARunThatWasNotFinished) {
  score();
  Database(path_, Database::Mode::kExisting).execute("DELETE FROM score");
  expect_error(ExitCode::kInput, {"scores.sqlite", "not finished", "--resume"},
               [&] { RankTargets targets(path_); });
}

TEST_F(Targets, OfAStoreWithImpossibleNumbersAreAnError) {
  score();
  fs::copy_file(path_, folder_ / "sound.sqlite");
  const auto expect_refused = [&](const std::string& damage, std::initializer_list<std::string> parts) {
    fs::copy_file(folder_ / "sound.sqlite", path_, fs::copy_options::overwrite_existing);
    EXPECT_EQ(RankTargets(path_).size(), 3);
    Database(path_, Database::Mode::kExisting).execute(damage);
    expect_error(ExitCode::kInput, parts, [&] { RankTargets targets(path_); });
  };
  expect_refused("UPDATE score SET caption_id = 4 WHERE rowid = 2",
                 {"table score, row 2, column caption_id", "got 4", "from 0 to 3"});
  expect_refused("UPDATE score SET image_id = -1 WHERE rowid = 1", {"table score, row 1", "image_id", "-1"});
  expect_refused("UPDATE score SET score = -9e999 WHERE rowid = 3", {"row 3, column score", "-inf"});
  expect_refused("UPDATE choice SET value = 0 WHERE key = 'latent_elements'",
                 {"table choice, row latent_elements", "got 0"});
  expect_refused("DELETE FROM caption WHERE id = 1", {"table caption, row 2, column id", "got 2"});
}

TEST_F(Targets, OfAMissingOrDamagedStoreAreAnError) {
  expect_error(ExitCode::kInput, {"nowhere", "no such file", "diffusion-score captions"},
               [&] { RankTargets targets(folder_ / "nowhere"); });
  score();
  fs::resize_file(path_, fs::file_size(path_) / 2);
  expect_error(ExitCode::kInput, {"scores.sqlite", "damaged"}, [&] { RankTargets targets(path_); });
}

}  // namespace
}  // namespace sdsclip

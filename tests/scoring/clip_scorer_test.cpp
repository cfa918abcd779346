#include "sdsclip/scoring/clip_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "scoring/tiny_models.h"
#include "sdsclip/models/inputs.h"
#include "sqlite.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::put_pixels;

class ClipScorer : public ::testing::Test {
 protected:
  ClipScoring score(const CaseTable& table, const std::string& out = "scores.sqlite",
                    StoreOpening opening = StoreOpening::kNew) {
    const RunIdentity identity = clip_run_identity(model_, model_.bundle().sha256, "winoground", options_);
    ScoreStore store(folder_ / out, identity, table, opening);
    return score_with_clip(model_, table, options_, store);
  }

  testing::TemporaryFolder folder_;
  ClipModel model_{testing::write_tiny_clip(folder_ / "clip"), {}};
  ClipScoreOptions options_{.image_batch = 3, .text_batch = 4, .workers = 2, .quiet = true};
};

TEST_F(ClipScorer, GivesCosines) {
  CaseTable table;
  table.images = {put_pixels(folder_.path(), "x.raw", 5)};
  table.captions = {{.id = "ab", .texts = {"ab"}}};
  table.cases = {{.id = "0", .images = {0}, .captions = {0}, .positives = {}, .tags = {}}};
  // ids: start, "ab</w>" is "a" and "b</w>" (the merge is of two inner symbols), end, padding.
  const at::Tensor weight = model_.parameters().front().second;
  const std::int64_t a = 'a' - '!';
  const std::int64_t b_end = 'b' - '!' + 256;
  at::Tensor text = weight[testing::kTinyVocabulary - 2] + weight[a] + weight[b_end] +
                    weight[testing::kTinyVocabulary - 1] + 2 * weight[0];
  // Bytes 5 * 101 + 37 i, modulo 256, as (byte / 255 - 0.5) / 0.5 + 1.
  std::vector<float> pixels;
  for (int i = 0; i < 5; ++i) pixels.push_back(static_cast<float>((505 + 37 * i) % 256) / 255.0F * 2);
  const at::Tensor image = at::tensor(pixels);
  const double expected =
      (image * text).sum().item<double>() / (image.norm().item<double>() * text.norm().item<double>());
  EXPECT_NEAR(score(table).scores.at(0, 0, 0), expected, 1e-6);
}

// Units of three texts: "ab" and "a" end within start, two ids and end, "aaaaaaaa" fills the context of six.
TEST_F(ClipScorer, CutsPaddingAfterTheLongestTextOfAUnitIfTheBundleAllowsIt) {
  const ClipModel model(testing::write_tiny_clip_of_any_length(folder_ / "any"), {});
  options_.text_batch = 3;
  CaseTable table;
  table.images = {put_pixels(folder_.path(), "x.raw", 5)};
  for (const char* text : {"ab", "a", "ba", "b", "bb", "a a a a a a a a"}) {
    table.captions.push_back({.id = text, .texts = {text}});
  }
  table.cases = {{.id = "0", .images = {0}, .captions = {}, .positives = {}, .tags = {}}};
  ScoreStore store(folder_ / "any.sqlite", clip_run_identity(model, "any", "zeroshot", options_), table,
                   StoreOpening::kNew);
  score_with_clip(model, table, options_, store);
  const std::vector<float> short_ones = store.read_embeddings(EmbeddingKind::kText, 0);
  const std::vector<float> long_ones = store.read_embeddings(EmbeddingKind::kText, 1);
  const at::Tensor weight = model.parameters().front().second;
  const at::Tensor ab = weight[testing::kTinyVocabulary - 2] + weight['a' - '!'] + weight['b' - '!' + 256] +
                        weight[testing::kTinyVocabulary - 1];
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(short_ones[i], ab[static_cast<std::int64_t>(i)].item<float>(), 1e-6);
  }
  for (const std::size_t row : {0, 1, 2}) {
    EXPECT_EQ(short_ones[row * 5 + 4], 4.0F);
    EXPECT_EQ(long_ones[row * 5 + 4], 6.0F);
  }
}

TEST_F(ClipScorer, AveragesAnEnsembleAsClipBenchmarkDoes) {
  CaseTable table;
  table.images = {put_pixels(folder_.path(), "x.raw", 5)};
  table.captions = {{.id = "class", .texts = {"a photo", "ab"}},
                    {.id = "a photo", .texts = {"a photo"}},
                    {.id = "ab", .texts = {"ab"}}};
  table.cases = {{.id = "0", .images = {0}, .captions = {}, .positives = {}, .tags = {}}};
  const ClipScoring scoring = score(table);
  // With unit vectors u and v, the class is (u + v) / |u + v|, and x.(u + v) = x.u + x.v.
  const at::NoGradGuard no_grad;
  const Tokenizer tokenizer = load_tokenizer(model_.bundle());
  const at::Tensor texts =
      model_.encode_text(tokenize(tokenizer, std::vector<std::string>{"a photo", "ab"})).to(at::kDouble);
  const at::Tensor unit = texts / texts.norm(2, 1, true);
  const double length = (unit[0] + unit[1]).norm().item<double>();
  EXPECT_NEAR(scoring.scores.at(0, 0, 0), (scoring.scores.at(0, 0, 1) + scoring.scores.at(0, 0, 2)) / length,
              1e-6);
  EXPECT_EQ(scoring.matches, 3);
}

TEST_F(ClipScorer, EncodesEachImageAndTextOnce) {
  CaseTable table = testing::readable_swap_table(folder_.path(), 3);
  table.cases.push_back({.id = "again", .images = {0, 5}, .captions = {3, 1}, .positives = {}, .tags = {}});
  const ClipScoring scoring = score(table);
  EXPECT_EQ(scoring.work.image_encodings, 6);  // two units of three
  EXPECT_EQ(scoring.work.text_encodings, 6);   // two even units of three, not of four and two
  EXPECT_EQ(scoring.matches, 16);
}

TEST_F(ClipScorer, DoesNotDependOnTheUnits) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 5);
  const ClipScoring small = score(table, "small.sqlite");
  options_.image_batch = 64;
  options_.text_batch = 1;
  options_.workers = 1;
  const ClipScoring large = score(table, "large.sqlite");
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    for (std::int64_t row = 0; row < 2; ++row) {
      for (std::int64_t column = 0; column < 2; ++column) {
        EXPECT_NEAR(small.scores.at(index, row, column), large.scores.at(index, row, column), 1e-6);
      }
    }
  }
}

TEST_F(ClipScorer, CompletesMissingUnitsWithTheSameScores) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 5);
  const ClipScoring whole = score(table);
  Database(folder_ / "scores.sqlite", Database::Mode::kExisting)
      .execute("DELETE FROM embedding WHERE unit >= 2; DELETE FROM score;");
  const ClipScoring resumed = score(table, "scores.sqlite", StoreOpening::kResume);
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    EXPECT_EQ(whole.scores.at(index, 1, 0), resumed.scores.at(index, 1, 0));
  }
  // 10 images in 4 units of 3, 10 texts in 3 units of 4: two and one were done again.
  EXPECT_EQ(resumed.work.image_encodings, 18);
  EXPECT_EQ(resumed.work.text_encodings, 16);
}

TEST_F(ClipScorer, ContinuesWithASmallerBatchAndKeepsStoredEmbeddings) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 5);
  const ClipScoring whole = score(table);
  // 10 images in 4 units of 3. Rows 0 to 2 and 6 to 8 are left; units of 2 use 0, 1 and 6, 7 of them.
  Database(folder_ / "scores.sqlite", Database::Mode::kExisting)
      .execute("DELETE FROM embedding WHERE kind = 'image' AND unit IN (1, 3)");
  options_.image_batch = 2;
  const ClipScoring resumed = score(table, "scores.sqlite", StoreOpening::kResume);
  EXPECT_EQ(resumed.work.image_encodings, 4 * 3 + 3 * 2);
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    EXPECT_NEAR(whole.scores.at(index, 1, 0), resumed.scores.at(index, 1, 0), 1e-6);
  }
  const ScoreStore store(folder_ / "scores.sqlite", {.scorer = "clip", .benchmark = "winoground"}, table,
                         StoreOpening::kJudge);
  EXPECT_EQ(judge_stored_clip(table, store).scores.at(3, 1, 1), resumed.scores.at(3, 1, 1));
}

TEST_F(ClipScorer, JudgesACompleteStoreAndNoOther) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 2);
  const ClipScoring scored = score(table);
  const RunIdentity identity{
      .scorer = "clip", .benchmark = "winoground", .model_name = "", .model_sha256 = "", .settings = {}};
  {
    const ScoreStore store(folder_ / "scores.sqlite", identity, table, StoreOpening::kJudge);
    EXPECT_EQ(judge_stored_clip(table, store).scores.at(1, 1, 1), scored.scores.at(1, 1, 1));
  }
  Database(folder_ / "scores.sqlite", Database::Mode::kExisting)
      .execute("DELETE FROM embedding WHERE kind = 'text'");
  const ScoreStore store(folder_ / "scores.sqlite", identity, table, StoreOpening::kJudge);
  expect_error(ExitCode::kInput, {"text", "missing", "--resume"}, [&] { judge_stored_clip(table, store); });
}

TEST_F(ClipScorer, DoesNotJudgeTruncatedEmbeddings) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 2);
  score(table);
  const RunIdentity identity{
      .scorer = "clip", .benchmark = "winoground", .model_name = "", .model_sha256 = "", .settings = {}};
  const auto expect_refused = [&](const std::string& damage, std::initializer_list<std::string> parts) {
    std::filesystem::copy_file(folder_ / "scores.sqlite", folder_ / "damaged.sqlite",
                               std::filesystem::copy_options::overwrite_existing);
    Database(folder_ / "damaged.sqlite", Database::Mode::kExisting).execute(damage);
    const ScoreStore store(folder_ / "damaged.sqlite", identity, table, StoreOpening::kJudge);
    expect_error(ExitCode::kInput, parts, [&] { judge_stored_clip(table, store); });
  };
  // 4 images of 5 numbers in units of 2.
  expect_refused("UPDATE embedding SET data = substr(data, 1, 20) WHERE kind = 'image' AND unit = 0",
                 {"table embedding, row image 0", "20 bytes", "expected 40"});
  expect_refused("UPDATE embedding SET data = substr(data, 1, 20) WHERE kind = 'image'", {"20 bytes"});
  expect_refused("UPDATE embedding SET data = zeroblob(40) WHERE kind = 'image' AND unit = 0",
                 {"damaged.sqlite", "image embedding 0", "zeros"});
  expect_refused("UPDATE embedding SET data = zeroblob(80) WHERE kind = 'text' AND unit = 0",
                 {"text embedding 0", "zeros"});
  // A store of an earlier version does not say how many numbers an embedding has.
  const std::string forget = "DELETE FROM choice WHERE key = 'embed_dim'; ";
  expect_refused(forget + "UPDATE embedding SET data = substr(data, 1, 8) WHERE kind = 'image'",
                 {"table embedding, row text 0"});
  expect_refused(forget + "UPDATE embedding SET data = x'' WHERE kind = 'image'", {"image 0", "got 0"});
  expect_refused("UPDATE setting SET value = 'many' WHERE key = 'image_batch'", {"setting", "image_batch"});
  expect_refused("UPDATE setting SET value = '-3' WHERE key = 'image_batch'", {"setting", "image_batch"});
}

TEST_F(ClipScorer, RefusesACacheThatIsDamaged) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 2);
  options_.cache = (folder_ / "cache").string();
  score(table, "first.sqlite");
  Database(folder_ / "cache" / "embeddings.sqlite", Database::Mode::kExisting)
      .execute("UPDATE embedding SET data = substr(data, 1, 8)");
  expect_error(ExitCode::kInput, {"embeddings.sqlite", "table embedding", "8 bytes", "expected 20"},
               [&] { score(table, "second.sqlite"); });
}

TEST_F(ClipScorer, NamesAnImageThatCannotBeReadAndKeepsFinishedUnits) {
  CaseTable table = testing::readable_swap_table(folder_.path(), 3);
  std::filesystem::remove(table.images[4].file);
  expect_error(ExitCode::kInput, {"4.raw"}, [&] { score(table); });
  put_pixels(folder_.path(), "4.raw", 4);
  EXPECT_EQ(score(table, "scores.sqlite", StoreOpening::kResume).work.image_encodings, 6);
}

TEST_F(ClipScorer, HasTheSameStoreWithAnyNumberOfWorkers) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 40);
  std::vector<std::vector<float>> stored;
  for (const std::int64_t workers : {1, 2, 8, 0}) {
    options_.workers = workers;
    const std::string out = fmt::format("{}.sqlite", workers);
    score(table, out);
    const ScoreStore store(folder_ / out, {.scorer = "clip", .benchmark = "winoground"}, table,
                           StoreOpening::kJudge);
    std::vector<float>& values = stored.emplace_back();
    for (const std::int64_t unit : store.embedding_units(EmbeddingKind::kImage)) {
      const std::vector<float> own = store.read_embeddings(EmbeddingKind::kImage, unit);
      values.insert(values.end(), own.begin(), own.end());
    }
    ASSERT_EQ(values.size(), 80U * 5);
    EXPECT_EQ(values, stored.front());
  }
}

TEST_F(ClipScorer, NamesTheFirstImageThatCannotBeReadWhicheverWorkerMeetsOne) {
  CaseTable table = testing::readable_swap_table(folder_.path(), 8);
  for (const std::size_t image : {7, 8, 9, 11, 15}) std::filesystem::remove(table.images[image].file);
  options_.workers = 8;
  for (int time = 0; time < 10; ++time) {
    const std::string out = fmt::format("{}.sqlite", time);
    expect_error(ExitCode::kInput, {"7.raw"}, [&] { score(table, out); });
    const ScoreStore store(folder_ / out, {.scorer = "clip", .benchmark = "winoground"}, table,
                           StoreOpening::kJudge);
    EXPECT_EQ(store.embedding_units(EmbeddingKind::kImage), (std::set<std::int64_t>{0, 1}));
    EXPECT_EQ(store.work().image_encodings, 6);
  }
}

TEST_F(ClipScorer, RefusesAnEmbeddingThatIsNotFinite) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 1);
  const at::NoGradGuard no_grad;
  model_.parameters().front().second.fill_(std::numeric_limits<float>::quiet_NaN());
  expect_error(ExitCode::kRuntime, {"caption 0a", "not finite"}, [&] { score(table); });
}

TEST_F(ClipScorer, ReusesEmbeddingsOfOtherRunsFromTheCache) {
  const CaseTable table = testing::readable_swap_table(folder_.path(), 3);
  options_.cache = (folder_ / "cache").string();
  const ClipScoring first = score(table, "first.sqlite");
  EXPECT_EQ(first.work.image_encodings, 6);
  // The same pictures and texts in another order.
  CaseTable other = testing::readable_swap_table(folder_.path(), 3);
  std::swap(other.images[0], other.images[5]);
  std::swap(other.captions[1], other.captions[4]);
  const ClipScoring second = score(other, "second.sqlite");
  EXPECT_EQ(second.work.image_encodings, 0);
  EXPECT_EQ(second.work.text_encodings, 0);
  EXPECT_EQ(second.scores.at(1, 0, 0), first.scores.at(1, 0, 0));
  EXPECT_EQ(second.scores.at(0, 1, 0), first.scores.at(0, 1, 0));
}

TEST_F(ClipScorer, RefusesAFileThatIsNotACache) {
  std::filesystem::create_directories(folder_ / "cache");
  Database(folder_ / "cache" / "embeddings.sqlite", Database::Mode::kCreate)
      .execute("CREATE TABLE other (a)");
  options_.cache = (folder_ / "cache").string();
  expect_error(ExitCode::kInput, {"embeddings.sqlite", "--cache"},
               [&] { score(testing::readable_swap_table(folder_.path(), 1)); });
}

TEST_F(ClipScorer, RefusesEmptyBatches) {
  options_.image_batch = 0;
  expect_error(ExitCode::kUsage, {"--batch", "got 0"},
               [&] { score(testing::readable_swap_table(folder_.path(), 1)); });
}

}  // namespace
}  // namespace sdsclip

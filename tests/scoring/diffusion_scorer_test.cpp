#include "sdsclip/scoring/diffusion_scorer.h"

#include <gtest/gtest.h>

#include <vector>

#include "sample_evaluator.h"
#include "scoring/tiny_models.h"
#include "sdsclip/base/random.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/models/inputs.h"
#include "sqlite.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;

class DiffusionScorer : public ::testing::Test {
 protected:
  DiffusionScorer() {
    options_.sampling.samples = 6;
    options_.micro_batch = 5;
    options_.encode_batch = 3;
    options_.quiet = true;
  }
  DiffusionTeacher teacher(const std::string& prediction_type = "epsilon",
                           Precision precision = Precision::kFp32) {
    const std::filesystem::path folder = folder_ / prediction_type;
    const bool is_there = std::filesystem::exists(folder);
    return {is_there ? read_bundle(folder) : testing::write_tiny_teacher(folder, prediction_type),
            {},
            {.device = c10::Device(c10::kCPU), .precision = precision}};
  }
  DiffusionScoring score(DiffusionTeacher& model, const CaseTable& table,
                         const std::string& out = "scores.sqlite",
                         StoreOpening opening = StoreOpening::kNew) {
    ScoreStore store(folder_ / out, diffusion_run_identity(model, "winoground", options_), table, opening);
    return score_with_diffusion(model, table, options_, store);
  }
  ScoreStore stored(const CaseTable& table, const std::string& out = "scores.sqlite") {
    const RunIdentity identity{.scorer = "diffusion",
                               .benchmark = "winoground",
                               .model_name = "",
                               .model_sha256 = "",
                               .settings = {}};
    return ScoreStore(folder_ / out, identity, table, StoreOpening::kJudge);
  }
  DiffusionScoring judge(const CaseTable& table, const std::string& out = "scores.sqlite") {
    const ScoreStore store = stored(table, out);
    return judge_stored_diffusion(table, judging_options(options_, store), store);
  }
  void execute(const std::string& sql, const std::string& out = "scores.sqlite") {
    Database(folder_ / out, Database::Mode::kExisting).execute(sql);
  }

  testing::TemporaryFolder folder_;
  CaseTable table_ = testing::readable_swap_table(folder_.path(), 3);
  DiffusionScoreOptions options_;
};

void expect_equal(const std::vector<SampleErrorRow>& a, const std::vector<SampleErrorRow>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].image, b[i].image);
    EXPECT_EQ(a[i].text, b[i].text);
    EXPECT_EQ(a[i].sample, b[i].sample);
    EXPECT_EQ(a[i].error, b[i].error);
    EXPECT_EQ(a[i].error_l1, b[i].error_l1);
  }
}

/// The errors of equation 1, one evaluation at a time and in double, with the noise taken from the generator.
void expect_errors_of_equation_1(const std::string& prediction_type, DiffusionTeacher& model,
                                 const CaseTable& table, const ScoreStore& store, std::int64_t seed) {
  const at::Tensor betas = at::linspace(std::sqrt(0.00085), std::sqrt(0.012), 1000, at::kDouble).pow(2);
  const at::Tensor abar = (1 - betas).cumprod(0);
  const at::Tensor embedding =
      model.encode_text(at::arange(0, 6, at::kLong).unsqueeze(0));  // loads the table
  ASSERT_EQ(embedding.dim(), 3);
  const Tokenizer tokenizer = load_tokenizer(model.bundle());
  const TextTable texts = unique_texts(table);
  const std::vector<SamplePoint> points = store.read_sample_points();
  const std::vector<SampleErrorRow> rows = store.read_errors();
  ASSERT_EQ(rows.size(), 72u);
  for (const SampleErrorRow& row : rows) {
    // The VAE's mean: red and green at half the size, times 0.5. The bytes are those of `put_pixels`.
    at::Tensor pixels = at::empty({1, 3, 8, 8}, at::kDouble);
    for (std::int64_t i = 0; i < 192; ++i) {
      const std::int64_t byte = (row.image * 101 + i * 37) % 256;
      pixels.view({-1})[i] = static_cast<double>(byte) / 255 * 2 - 1;
    }
    const at::Tensor z = at::avg_pool2d(pixels, {2, 2}).narrow(1, 0, 2) * 0.5;
    std::vector<float> normals(32);
    fill_normal(static_cast<std::uint64_t>(seed),
                substream(stream_of("diffusion-score/noise"), static_cast<std::uint64_t>(row.sample)), 0,
                normals);
    const at::Tensor eps = at::tensor(normals).to(at::kDouble).view({1, 2, 4, 4});
    const std::int64_t t = points[static_cast<std::size_t>(row.sample)].timestep;
    const at::Tensor noised = abar[t].sqrt() * z + (1 - abar[t]).sqrt() * eps;
    const std::vector<std::string> text = {texts.texts[static_cast<std::size_t>(row.text)]};
    const at::Tensor c = model.encode_text(tokenize(tokenizer, text)).to(at::kDouble).mean();
    at::Tensor predicted = at::sin(noised * (1 + c)) + c * static_cast<double>(t) / 1000;
    if (prediction_type == "v_prediction")
      predicted = abar[t].sqrt() * predicted + (1 - abar[t]).sqrt() * noised;
    const double error = (predicted - eps).square().sum().item<double>();
    const double error_l1 = (predicted - eps).abs().sum().item<double>();
    EXPECT_NEAR(row.error / error, 1, 1e-5);
    EXPECT_NEAR(row.error_l1 / error_l1, 1, 1e-5);
    EXPECT_NEAR(points[static_cast<std::size_t>(row.sample)].alpha_cumprod, abar[t].item<double>(), 1e-6);
  }
}

TEST_F(DiffusionScorer, StoresTheErrorsOfEquation1) {
  for (const std::string prediction_type : {"epsilon", "v_prediction"}) {
    DiffusionTeacher model = teacher(prediction_type);
    options_.sampling.seed = 3;
    score(model, table_, prediction_type + ".sqlite");
    expect_errors_of_equation_1(prediction_type, model, table_, stored(table_, prediction_type + ".sqlite"),
                                3);
  }
}

TEST_F(DiffusionScorer, ScoresAreMinusTheMeanErrors) {
  DiffusionTeacher model = teacher();
  const DiffusionScoring scoring = score(model, table_);
  double sum = 0;
  for (const SampleErrorRow& row : stored(table_).read_errors()) {
    if (row.image == 3 && row.text == 2) sum += row.error;
  }
  EXPECT_DOUBLE_EQ(scoring.scores.at(1, 1, 0), -sum / 6);
  EXPECT_EQ(scoring.matches, 12);
  EXPECT_EQ(scoring.sample_evaluations, 72);
}

TEST_F(DiffusionScorer, EncodesEachImageAndTextOnce) {
  DiffusionTeacher model = teacher();
  const DiffusionScoring scoring = score(model, table_);
  EXPECT_EQ(scoring.work.vae_encodings, 6);
  EXPECT_EQ(scoring.work.text_encodings, 6);
  EXPECT_EQ(scoring.work.unet_evaluations, 72);  // 12 pairs in 3 even blocks of 4
}

TEST_F(DiffusionScorer, UsesTheSameTimestepsAndNoiseForAllImagesAndCaptions) {
  DiffusionTeacher model = teacher();
  // The second case has the first one's images and captions under other names.
  table_.images[2] = testing::put_pixels(folder_.path(), "copy0.raw", 0);
  table_.images[3] = testing::put_pixels(folder_.path(), "copy1.raw", 1);
  table_.captions[2].texts = table_.captions[0].texts;
  const DiffusionScoring scoring = score(model, table_);
  EXPECT_EQ(scoring.scores.at(0, 0, 0), scoring.scores.at(1, 0, 0));
  EXPECT_EQ(scoring.scores.at(0, 1, 0), scoring.scores.at(1, 1, 0));
}

TEST_F(DiffusionScorer, ExtendsARunToTheSameErrorsAsAFreshOne) {
  DiffusionTeacher model = teacher();
  score(model, table_, "extended.sqlite");
  options_.sampling.samples = 15;
  const DiffusionScoring extended = score(model, table_, "extended.sqlite", StoreOpening::kResume);
  const DiffusionScoring fresh = score(model, table_, "fresh.sqlite");
  expect_equal(stored(table_, "extended.sqlite").read_errors(), stored(table_, "fresh.sqlite").read_errors());
  EXPECT_EQ(extended.work.unet_evaluations, fresh.work.unet_evaluations);
  EXPECT_EQ(extended.scores.at(2, 0, 1), fresh.scores.at(2, 0, 1));
}

TEST_F(DiffusionScorer, ScoresFewerSamplesThanAreStored) {
  DiffusionTeacher model = teacher();
  const DiffusionScoring few = score(model, table_, "few.sqlite");
  options_.sampling.samples = 15;
  score(model, table_, "many.sqlite");
  options_.sampling.samples = 6;
  EXPECT_EQ(score(model, table_, "many.sqlite", StoreOpening::kResume).scores.at(0, 1, 1),
            few.scores.at(0, 1, 1));
}

TEST_F(DiffusionScorer, CompletesMissingUnitsWithTheSameErrors) {
  DiffusionTeacher model = teacher();
  score(model, table_);
  const std::vector<SampleErrorRow> whole = stored(table_).read_errors();
  // Pairs are blocked by fours in the order of the cases: the last block's samples from 2 on.
  execute("DELETE FROM error WHERE image_id >= 4 AND sample >= 2");
  const std::int64_t before = model.work().unet_evaluations;
  score(model, table_, "scores.sqlite", StoreOpening::kResume);
  EXPECT_EQ(model.work().unet_evaluations - before, 16);
  expect_equal(stored(table_).read_errors(), whole);
}

TEST_F(DiffusionScorer, AnAdaptiveRunResumesToTheSameEnd) {
  DiffusionTeacher model = teacher();
  options_.sampling.samples = 40;
  // The tiny teacher's differences have a trend along t, for which the test is cautious.
  options_.adaptive = {.enabled = true, .confidence = 0.6, .min_samples = 3};
  const DiffusionScoring whole = score(model, table_);
  EXPECT_LT(whole.sample_evaluations, whole.full_evaluations);
  EXPECT_EQ(whole.full_evaluations, 12 * 40);
  const std::vector<SampleErrorRow> rows = stored(table_).read_errors();
  EXPECT_EQ(static_cast<std::int64_t>(rows.size()), whole.sample_evaluations);
  execute("DELETE FROM error WHERE sample >= 3");
  const DiffusionScoring resumed = score(model, table_, "scores.sqlite", StoreOpening::kResume);
  expect_equal(stored(table_).read_errors(), rows);
  EXPECT_EQ(resumed.sample_evaluations, whole.sample_evaluations);
  options_.adaptive = {};  // the store says how it was raced
  const DiffusionScoring judged = judge(table_);
  for (std::size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(resumed.scores.at(index, 0, 1), whole.scores.at(index, 0, 1));
    EXPECT_EQ(judged.scores.at(index, 0, 1), whole.scores.at(index, 0, 1));
  }
  EXPECT_EQ(judged.sample_evaluations, whole.sample_evaluations);
}

TEST_F(DiffusionScorer, RacesAUniformRunsErrorsAsAnAdaptiveRunDoes) {
  DiffusionTeacher model = teacher();
  options_.sampling.samples = 40;
  score(model, table_, "uniform.sqlite");
  options_.adaptive = {.enabled = true, .confidence = 0.95, .min_samples = 2, .budget = 10};
  const DiffusionScoring raced = score(model, table_, "adaptive.sqlite");
  const DiffusionScoring replayed = judge(table_, "uniform.sqlite");
  EXPECT_LT(raced.sample_evaluations, raced.full_evaluations);
  EXPECT_EQ(replayed.sample_evaluations, raced.sample_evaluations);
  for (std::size_t index = 0; index < 3; ++index) {
    // Units of other shapes: equal but for rounding.
    EXPECT_NEAR(replayed.scores.at(index, 0, 1) / raced.scores.at(index, 0, 1), 1, 1e-6);
  }
  options_.adaptive.budget = 20;
  expect_error(ExitCode::kUsage, {"was scored adaptively with", "budget 10"},
               [&] { judge(table_, "adaptive.sqlite"); });
}

TEST_F(DiffusionScorer, DoesNotRaceAGridThatIsNotNested) {
  DiffusionTeacher model = teacher();
  apply_preset("diffusion-classifier", options_);
  score(model, table_);
  options_.adaptive.enabled = true;
  expect_error(ExitCode::kUsage, {"the grid even"}, [&] { judge(table_); });
}

TEST_F(DiffusionScorer, JudgesAStoreByAnotherNormWithoutTheModel) {
  DiffusionTeacher model = teacher();
  score(model, table_);
  options_.estimator = {.norm = ErrorNorm::kL1, .weight = "snr"};
  const DiffusionScoring scored = score(model, table_, "l1.sqlite");
  const DiffusionScoring judged = judge(table_);
  EXPECT_EQ(judged.scores.at(1, 0, 1), scored.scores.at(1, 0, 1));
}

TEST_F(DiffusionScorer, CanSubtractTheUnconditionalLaterOn) {
  DiffusionTeacher model = teacher();
  score(model, table_);
  options_.estimator.subtract_unconditional = true;
  expect_error(ExitCode::kInput, {"no sample yet", "--resume"}, [&] { judge(table_); });
  const DiffusionScoring later = score(model, table_, "scores.sqlite", StoreOpening::kResume);
  const DiffusionScoring fresh = score(model, table_, "fresh.sqlite");
  EXPECT_EQ(later.scores.at(1, 0, 1), fresh.scores.at(1, 0, 1));
  EXPECT_EQ(later.full_evaluations, (12 + 6) * 6);
}

TEST_F(DiffusionScorer, DoesNotExtendAGridThatIsNotNested) {
  DiffusionTeacher model = teacher();
  apply_preset("diffusion-classifier", options_);
  score(model, table_);
  options_.sampling.samples = 8;
  expect_error(ExitCode::kUsage, {"samples: got 8", "has 6", "--out"},
               [&] { score(model, table_, "scores.sqlite", StoreOpening::kResume); });
}

TEST_F(DiffusionScorer, RefusesToContinueWithOtherSettings) {
  DiffusionTeacher model = teacher();
  score(model, table_);
  options_.sampling.seed = 1;
  expect_error(ExitCode::kUsage, {"another run", "sampling.seed"},
               [&] { score(model, table_, "scores.sqlite", StoreOpening::kResume); });
}

TEST_F(DiffusionScorer, ContinuesWithTheMicroBatchThatItChose) {
  DiffusionTeacher model = teacher();
  options_.micro_batch = 0;
  score(model, table_);
  EXPECT_TRUE(stored(table_).choice("micro_batch").has_value());
  // Simulates a machine that chose 4: three blocks of 4 pairs instead of one of 12.
  execute("UPDATE choice SET value = 4 WHERE key = 'micro_batch'");
  execute("DELETE FROM error WHERE image_id >= 4 AND sample >= 2");
  const std::int64_t before = model.work().unet_evaluations;
  score(model, table_, "scores.sqlite", StoreOpening::kResume);
  EXPECT_EQ(model.work().unet_evaluations - before, 4 * 4);
}

TEST_F(DiffusionScorer, ContinuesWithASmallerMicroBatchAndComputesNoSampleTwice) {
  DiffusionTeacher model = teacher();
  score(model, table_, "whole.sqlite");
  const std::vector<SampleErrorRow> whole = stored(table_, "whole.sqlite").read_errors();
  score(model, table_);
  // 12 pairs in blocks of 4; the second block has 2 samples left, the third none.
  execute("DELETE FROM error WHERE (image_id IN (2, 3) AND sample >= 2) OR image_id >= 4");
  options_.micro_batch = 3;
  const std::int64_t before = model.work().unet_evaluations;
  score(model, table_, "scores.sqlite", StoreOpening::kResume);
  // Blocks of 3, padded: the second and third have rows of the old second block, at 4 and at 6 samples.
  EXPECT_EQ(model.work().unet_evaluations - before, 3 * (4 + 6 + 6));
  const std::vector<SampleErrorRow> rows = stored(table_).read_errors();
  ASSERT_EQ(rows.size(), whole.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].sample, whole[i].sample);
    EXPECT_NEAR(rows[i].error / whole[i].error, 1, 1e-5);
  }
  EXPECT_EQ(stored(table_).choice("micro_batch"), 3);
}

TEST_F(DiffusionScorer, AnotherPrecisionIsAnotherRun) {
  DiffusionTeacher whole = teacher();
  score(whole, table_, "fp32.sqlite");
  const std::vector<SampleErrorRow> exact = stored(table_, "fp32.sqlite").read_errors();
  // Half a unit in the last place of a significand of 8 and of 11 bits, through a handful of operations.
  for (const auto& [precision, tolerance] :
       {std::pair(Precision::kBf16, 0.05), std::pair(Precision::kFp16, 0.01)}) {
    DiffusionTeacher model = teacher("epsilon", precision);
    const std::string out = precision == Precision::kBf16 ? "bf16.sqlite" : "fp16.sqlite";
    score(model, table_, out);
    const std::vector<SampleErrorRow> rows = stored(table_, out).read_errors();
    ASSERT_EQ(rows.size(), exact.size());
    double difference = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(rows[i].error / exact[i].error, 1, tolerance);
      difference += std::abs(rows[i].error - exact[i].error);
    }
    EXPECT_GT(difference, 0);
    expect_error(ExitCode::kUsage, {"another run", "precision"},
                 [&] { score(model, table_, "fp32.sqlite", StoreOpening::kResume); });
  }
}

TEST_F(DiffusionScorer, HasTheSameStoreWithAnyNumberOfWorkers) {
  DiffusionTeacher model = teacher();
  std::vector<std::vector<SampleErrorRow>> stored_rows;
  for (const std::int64_t workers : {1, 2, 8, 0}) {
    options_.workers = workers;
    const std::string out = fmt::format("{}.sqlite", workers);
    const DiffusionScoring scoring = score(model, table_, out);
    EXPECT_EQ(scoring.work.vae_encodings, 6);
    EXPECT_EQ(scoring.work.text_encodings, 6);
    EXPECT_EQ(scoring.work.unet_evaluations, 6 * 12);
    const std::vector<SampleErrorRow>& rows = stored_rows.emplace_back(stored(table_, out).read_errors());
    ASSERT_EQ(rows.size(), stored_rows.front().size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].error, stored_rows.front()[i].error);
      EXPECT_EQ(rows[i].error_l1, stored_rows.front()[i].error_l1);
    }
  }
}

TEST_F(DiffusionScorer, KeepsTheUnitsBeforeAnImageThatCannotBeRead) {
  DiffusionTeacher model = teacher();
  std::filesystem::remove(table_.images[4].file);
  expect_error(ExitCode::kInput, {"4.raw"}, [&] { score(model, table_); });
  // 12 pairs in blocks of 4, and images in units of 3: the first block needs images 0 and 1.
  EXPECT_EQ(stored(table_).read_errors().size(), 4U * 6);
  testing::put_pixels(folder_.path(), "4.raw", 4);
  score(model, table_, "scores.sqlite", StoreOpening::kResume);
  EXPECT_EQ(stored(table_).work().unet_evaluations, 12 * 6);
}

TEST_F(DiffusionScorer, NamesAnImageThatCannotBeRead) {
  DiffusionTeacher model = teacher();
  std::filesystem::remove(table_.images[4].file);
  expect_error(ExitCode::kInput, {"4.raw"}, [&] { score(model, table_); });
}

TEST_F(DiffusionScorer, RefusesAnErrorThatIsNotFinite) {
  DiffusionTeacher model = teacher();
  options_.sampling.samples = 1;
  testing::tiny_module(torch::ones({1}), "def forward(self, z, t, context):\n    return z / 0.0\n")
      .save((folder_ / "epsilon" / "unet.ts").string());
  std::filesystem::remove(folder_ / "epsilon" / "bundle.json");
  nlohmann::json document = {{"kind", "teacher"},
                             {"name", "broken"},
                             {"schedule",
                              {{"beta_schedule", "scaled_linear"},
                               {"beta_start", 0.00085},
                               {"beta_end", 0.012},
                               {"train_timesteps", 1000}}},
                             {"prediction_type", "epsilon"},
                             {"latent", {{"channels", 2}, {"size", 4}, {"scaling_factor", 0.5}}},
                             {"context_dim", 3}};
  testing::write_manifest(folder_ / "epsilon", document);
  DiffusionTeacher broken(read_bundle(folder_ / "epsilon"), {}, {});
  expect_error(ExitCode::kRuntime, {"not finite", "0.raw", "caption 0a"}, [&] { score(broken, table_); });
}

TEST_F(DiffusionScorer, RefusesToJudgeImpossibleNumbers) {
  DiffusionTeacher model = teacher();
  score(model, table_);
  std::filesystem::copy_file(folder_ / "scores.sqlite", folder_ / "sound.sqlite");
  const auto expect_refused = [&](const std::string& damage, std::initializer_list<std::string> parts) {
    std::filesystem::copy_file(folder_ / "sound.sqlite", folder_ / "scores.sqlite",
                               std::filesystem::copy_options::overwrite_existing);
    execute(damage);
    expect_error(ExitCode::kInput, parts, [&] { judge(table_); });
  };
  expect_refused("UPDATE sample_point SET timestep = -1000 WHERE sample = 2", {"timestep", "got -1000"});
  expect_refused("UPDATE error SET error = 1.7e308", {"table error", "column error", "1.7e+308", "1e+90"});
  expect_refused("UPDATE choice SET value = -1 WHERE key = 'samples'", {"row samples", "got -1"});
  expect_refused("UPDATE setting SET value = '[' WHERE key = 'sampling.t_max'", {"sampling.t_max"});
  expect_refused("UPDATE setting SET value = 'x' WHERE key = 'sampling.samples' OR key = 'sampling.seed'",
                 {"sampling.seed"});
}

TEST_F(DiffusionScorer, ShowsHowAMetricConverges) {
  DiffusionTeacher model = teacher();
  options_.sampling.samples = 12;
  const DiffusionScoring whole = score(model, table_);
  const Benchmark& winoground = find_benchmark("winoground");
  const std::vector<ConvergencePoint> curve = convergence_curve(table_, winoground, {}, stored(table_));
  std::vector<std::int64_t> samples;
  for (const ConvergencePoint& point : curve) samples.push_back(point.samples);
  EXPECT_EQ(samples, (std::vector<std::int64_t>{1, 2, 3, 5, 7, 10, 12}));
  EXPECT_EQ(curve[3].sample_evaluations, 60);
  EXPECT_EQ(find_metric(curve.back().metrics, "winoground/group")->value,
            summarise(winoground.judge(table_, whole.scores))[2].value);
}

TEST(SampleNoise, IsStandardNormalAndAFunctionOfSeedAndSampleAlone) {
  const BundleLatent latent{.channels = 4, .size = 64, .scaling_factor = 1};
  const at::Tensor noise = sample_noise(5, 17, latent);
  EXPECT_TRUE(noise.equal(sample_noise(5, 17, latent)));
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.03);
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.03);
  for (const at::Tensor& other : {sample_noise(5, 18, latent), sample_noise(6, 17, latent)}) {
    EXPECT_NEAR((noise * other).mean().item<double>(), 0, 0.03);
  }
}

}  // namespace
}  // namespace sdsclip

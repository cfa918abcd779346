#include "sdsclip/data/loader.h"

#include <gtest/gtest.h>

#include <set>

#include "encoded_images.h"
#include "sdsclip/base/error.h"
#include "sdsclip/data/sample_order.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

/// Samples in memory: sample 7 is "7.png", its captions are "7 a" and "7 b".
class NumberedCaptions : public CaptionDataset {
 public:
  explicit NumberedCaptions(std::int64_t size, std::set<std::int64_t> bad = {})
      : size_(size), bad_(std::move(bad)) {}

  [[nodiscard]] std::int64_t size() const override { return size_; }
  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const std::string number = std::to_string(index);
    return {number + ".png", {number + " a", number + " b"}, {number + " wrong"}};
  }
  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return bad_.contains(index) ? "no image" : testing::from_hex(testing::kPng);
  }
  [[nodiscard]] std::size_t index_bytes() const override { return 0; }

 private:
  std::int64_t size_;
  std::set<std::int64_t> bad_;
};

Tokenizer small_tokenizer() {
  return clip_tokenizer("a b\n", {.context_length = 6, .sot = 513, .eot = 514, .pad = 0});
}

LoaderOptions small_options() {
  LoaderOptions options;
  options.batch_size = 4;
  options.preprocess.size = 2;
  options.seed = 5;
  options.max_bad = 0.5;
  return options;
}

std::vector<std::int64_t> samples_of(CaptionLoader& loader, int batches) {
  std::vector<std::int64_t> samples;
  for (int i = 0; i < batches; ++i) {
    const Batch batch = loader.next();
    samples.insert(samples.end(), batch.samples.begin(), batch.samples.end());
  }
  return samples;
}

std::vector<std::int64_t> samples_of(const CaptionDataset& dataset, const LoaderOptions& options, int batches,
                                     const LoaderPosition& start = {}) {
  const Tokenizer tokenizer = small_tokenizer();
  CaptionLoader loader(dataset, tokenizer, options, start);
  return samples_of(loader, batches);
}

TEST(CaptionLoader, WhenConfinedTreatsAnImageOutsideTheFolderAsABadSample) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "images");
  std::filesystem::create_symlink("/etc/hostname", folder / "images" / "3.png");
  const NumberedCaptions dataset(5);
  LoaderOptions options = small_options();
  options.confine_to = (folder / "images").string();
  const std::vector<std::int64_t> used = samples_of(dataset, options, 1);
  EXPECT_EQ(std::set<std::int64_t>(used.begin(), used.end()), (std::set<std::int64_t>{0, 1, 2, 4}));
  options.on_bad_sample = OnBadSample::kFail;
  options.batch_size = 5;
  testing::expect_error(ExitCode::kInput, {"3.png", "is outside", "data.confine"},
                        [&] { samples_of(dataset, options, 1); });
}

TEST(CaptionLoader, FillsABatchWithMatchingData) {
  const NumberedCaptions dataset(10);
  const Tokenizer tokenizer = small_tokenizer();
  CaptionLoader loader(dataset, tokenizer, small_options());
  const Batch batch = loader.next();
  ASSERT_EQ(batch.samples.size(), 4U);
  ASSERT_EQ(batch.pixels.count(), 4);
  const std::vector<std::uint8_t> pixels = batch.pixels.read(0, 4);
  EXPECT_EQ(batch.token_ids.size(), 4U * 6);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string number = std::to_string(batch.samples[i]);
    EXPECT_EQ(batch.image_names[i], number + ".png");
    EXPECT_EQ(batch.captions[i].substr(0, number.size()), number);
    EXPECT_EQ(batch.negative_captions[i], number + " wrong");
    const std::vector<std::int64_t> expected = tokenizer.encode(batch.captions[i]);
    EXPECT_TRUE(
        std::equal(expected.begin(), expected.end(), batch.token_ids.begin() + static_cast<long>(i * 6)));
    EXPECT_EQ(pixels[i * 12], 255);  // the red pixel of the image
  }
  EXPECT_EQ(batch.next, (LoaderPosition{0, 1, 4, 0}));
}

TEST(CaptionLoader, FollowsTheOrderOfEachEpoch) {
  std::vector<std::int64_t> expected;
  for (const std::int64_t epoch : {0, 1, 2}) {
    const SampleOrder order(10, 5, epoch);
    for (std::int64_t position = 0; position < 8; ++position) expected.push_back(order.sample_at(position));
  }
  EXPECT_EQ(samples_of(NumberedCaptions(10), small_options(), 6), expected);
}

TEST(CaptionLoader, GivesTheSameWithAnyNumberOfWorkers) {
  const NumberedCaptions dataset(50, {3, 4, 17, 30});
  std::vector<std::int64_t> expected;
  for (const std::int64_t workers : {1, 2, 7}) {
    for (const std::int64_t ahead : {1, 5}) {
      LoaderOptions options = small_options();
      options.workers = workers;
      options.batches_ahead = ahead;
      const std::vector<std::int64_t> samples = samples_of(dataset, options, 40);
      if (expected.empty()) expected = samples;
      EXPECT_EQ(samples, expected);
    }
  }
}

TEST(CaptionLoader, ReplacesABadSampleByTheNextOneInTheOrder) {
  const SampleOrder order(20, 5, 0);
  const NumberedCaptions dataset(20, {order.sample_at(1), order.sample_at(2), order.sample_at(15)});
  const Tokenizer tokenizer = small_tokenizer();
  CaptionLoader loader(dataset, tokenizer, small_options());
  std::vector<std::int64_t> expected;
  for (const std::int64_t position : {0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18}) {
    expected.push_back(order.sample_at(position));
  }
  EXPECT_EQ(samples_of(loader, 4), expected);
  const Batch fifth = loader.next();  // one good sample is left of the order, which then starts again
  EXPECT_EQ(fifth.samples, (std::vector<std::int64_t>{order.sample_at(19), order.sample_at(0),
                                                      order.sample_at(3), order.sample_at(4)}));
  EXPECT_EQ(fifth.next, (LoaderPosition{1, 0, 0, 0}));
  EXPECT_EQ(loader.statistics().bad_samples, 5);  // two of them met twice
  ASSERT_EQ(loader.statistics().first_errors.size(), 5U);
  EXPECT_NE(loader.statistics().first_errors[0].find(std::to_string(order.sample_at(1)) + ".png"),
            std::string::npos);
}

TEST(CaptionLoader, ContinuesFromAnyPosition) {
  const NumberedCaptions dataset(30, {2, 9, 25, 26});
  const LoaderOptions options = small_options();
  const Tokenizer tokenizer = small_tokenizer();
  CaptionLoader whole(dataset, tokenizer, options);
  std::vector<LoaderPosition> positions = {LoaderPosition{}};
  std::vector<std::vector<std::int64_t>> batches;
  for (int i = 0; i < 18; ++i) {
    const Batch batch = whole.next();
    batches.push_back(batch.samples);
    positions.push_back(batch.next);
  }
  for (std::size_t start = 0; start < 15; ++start) {
    CaptionLoader resumed(dataset, tokenizer, options, positions[start]);
    for (std::size_t i = start; i < start + 3; ++i) EXPECT_EQ(resumed.next().samples, batches[i]) << start;
  }
}

TEST(CaptionLoader, ChoosesAnotherCaptionInAnotherEpoch) {
  const NumberedCaptions dataset(4);
  const Tokenizer tokenizer = small_tokenizer();
  CaptionLoader loader(dataset, tokenizer, small_options());
  std::set<std::string> captions;
  for (int epoch = 0; epoch < 12; ++epoch) {
    for (const std::string& caption : loader.next().captions) captions.insert(caption);
  }
  EXPECT_EQ(captions.size(), 8U);  // both captions of the four samples
}

TEST(CaptionLoader, SharesAnEpochBetweenProcesses) {
  const NumberedCaptions dataset(16);
  LoaderOptions options = small_options();
  options.processes = 2;
  std::set<std::int64_t> seen;
  for (options.process = 0; options.process < 2; ++options.process) {
    const std::vector<std::int64_t> samples = samples_of(dataset, options, 2);
    seen.insert(samples.begin(), samples.end());
  }
  EXPECT_EQ(seen.size(), 16U);
}

TEST(CaptionLoader, FailsOnTheFirstBadSampleIfAsked) {
  LoaderOptions options = small_options();
  options.on_bad_sample = OnBadSample::kFail;
  const std::int64_t bad = SampleOrder(10, 5, 0).sample_at(5);
  const NumberedCaptions dataset(10, {bad});
  const Tokenizer tokenizer = small_tokenizer();
  CaptionLoader loader(dataset, tokenizer, options);
  EXPECT_NO_THROW(loader.next());
  testing::expect_error(ExitCode::kInput, {std::to_string(bad) + ".png", "data.on_bad_sample"},
                        [&] { loader.next(); });
}

TEST(CaptionLoader, FailsOnTooManyBadSamples) {
  LoaderOptions options = small_options();
  options.max_bad = 0.1;
  const NumberedCaptions dataset(20, {1, 2, 3});
  testing::expect_error(ExitCode::kInput, {"3 bad samples", "data.max_bad", "0.1", "20"},
                        [&] { (void)samples_of(dataset, options, 5); });
}

TEST(CaptionLoader, RefusesABatchThatIsLargerThanTheDataSet) {
  testing::expect_error(ExitCode::kUsage, {"train.batch_size", "4", "3 samples"},
                        [] { (void)samples_of(NumberedCaptions(3), small_options(), 1); });
}

TEST(CaptionLoader, EndsAtOnceWhileWorkersAreBusy) {
  const NumberedCaptions dataset(100);
  const Tokenizer tokenizer = small_tokenizer();
  for (int i = 0; i < 20; ++i) CaptionLoader loader(dataset, tokenizer, small_options());
}

}  // namespace
}  // namespace sdsclip

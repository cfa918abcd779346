#include "sdsclip/benchmarks/images.h"

#include <gtest/gtest.h>

#include "benchmarks/data_files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::write_text;

class Images : public ::testing::Test {
 protected:
  BenchmarkImage in_file(const std::string& content) {
    write_text(folder_ / "file", content);
    return {.id = "file:0", .file = folder_ / "file", .crop = std::nullopt, .range = {}, .raw = std::nullopt};
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Images, PutsPlanesOfPixelsInOrder) {
  BenchmarkImage image = in_file("--RRRRGGGGBBBB");  // 2 x 2, red plane first, after two other bytes
  image.range = {.offset = 2, .size = 12};
  image.raw = {.width = 2, .height = 2, .channels = 3};
  EXPECT_EQ(read_benchmark_image(image).pixels,
            (std::vector<std::uint8_t>{'R', 'G', 'B', 'R', 'G', 'B', 'R', 'G', 'B', 'R', 'G', 'B'}));
}

TEST_F(Images, RepeatsGreyAndCrops) {
  BenchmarkImage image = in_file("abcdef");  // 3 x 2
  image.range = {.offset = 0, .size = 6};
  image.raw = {.width = 3, .height = 2, .channels = 1};
  image.crop = {.x = 1, .y = 1, .width = 2, .height = 1};
  const Image pixels = read_benchmark_image(image);
  EXPECT_EQ(pixels.width, 2);
  EXPECT_EQ(pixels.height, 1);
  EXPECT_EQ(pixels.pixels, (std::vector<std::uint8_t>{'e', 'e', 'e', 'f', 'f', 'f'}));
}

// A PNG of one blue pixel, as Pillow writes it, between other bytes.
TEST_F(Images, DecodesAPartOfAFile) {
  const std::string png(
      "\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x01\x00\x00\x00\x01"
      "\x08\x02\x00\x00\x00\x90\x77\x53\xde\x00\x00\x00\x0c\x49\x44\x41\x54\x78\x9c\x63\x60\x60\xf8\x0f"
      "\x00\x01\x03\x01\x00\x08\x89\xc2\xec\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82",
      69);
  BenchmarkImage image = in_file("head" + png + "tail");
  image.range = {.offset = 4, .size = 69};
  EXPECT_EQ(read_benchmark_image(image).pixels, (std::vector<std::uint8_t>{0, 0, 255}));
}

TEST_F(Images, NamesAFileThatIsTruncatedOrNotAnImage) {
  BenchmarkImage image = in_file("abc");
  testing::expect_error(ExitCode::kInput, {(folder_ / "file").string()},
                        [&] { read_benchmark_image(image); });
  image.range = {.offset = 1, .size = 6};
  testing::expect_error(ExitCode::kInput, {"cut short"}, [&] { read_benchmark_image(image); });
}

}  // namespace
}  // namespace sdsclip

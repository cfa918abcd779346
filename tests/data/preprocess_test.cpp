#include "sdsclip/data/preprocess.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using Pixels = std::vector<std::uint8_t>;

// Expected pixels are those of Pillow 13.0.0 and torchvision 0.26.0.

Image counting_image(int width, int height) {
  Image image{width, height, Pixels(static_cast<std::size_t>(width * height * 3))};
  std::iota(image.pixels.begin(), image.pixels.end(), std::uint8_t{0});
  return image;
}

Pixels cropped(const Image& image, const PreprocessOptions& options) {
  Pixels pixels(options.element_count());
  resize_and_crop(image, options, pixels);
  return pixels;
}

TEST(ResizeBicubic, ShrinksAndGrowsARowAsPillowDoes) {
  const Image row{4, 1, {0, 0, 0, 10, 20, 30, 200, 100, 50, 255, 255, 255}};
  EXPECT_EQ(resize_image(row, 2, 1).pixels, (Pixels{19, 12, 10, 210, 165, 143}));
  EXPECT_EQ(resize_image(row, 6, 1).pixels,
            (Pixels{0, 0, 0, 0, 5, 13, 33, 29, 32, 174, 82, 36, 240, 187, 160, 255, 255, 255}));
}

TEST(ResizeBilinear, ShrinksAndGrowsARowAsPillowDoes) {
  const Image row{4, 1, {0, 0, 0, 10, 20, 30, 200, 100, 50, 255, 255, 255}};
  EXPECT_EQ(resize_image(row, 2, 1, Interpolation::kBilinear).pixels, (Pixels{33, 23, 20, 196, 155, 135}));
  EXPECT_EQ(resize_image(row, 6, 1, Interpolation::kBilinear).pixels,
            (Pixels{0, 0, 0, 5, 10, 15, 42, 33, 33, 168, 87, 47, 228, 178, 153, 255, 255, 255}));
}

TEST(ResizeBicubic, ResizesTheHeightFirstWhenPillowDoes) {
  const Image tall{3, 9, {121, 131, 193, 243, 8,   36,  210, 242, 63,  79,  222, 108, 69, 211, 65,  104, 164,
                          140, 21,  7,   221, 192, 214, 137, 209, 84,  115, 201, 31,  77, 31,  116, 250, 34,
                          98,  103, 231, 52,  128, 67,  5,   192, 15,  71,  127, 124, 29, 251, 191, 246, 23,
                          185, 75,  138, 236, 70,  185, 41,  82,  248, 107, 132, 74,  29, 108, 159, 116, 198,
                          92,  156, 197, 234, 109, 10,  183, 135, 223, 117, 94,  15,  117}};
  // With the width first, eight of these bytes are different by one or two.
  EXPECT_EQ(resize_image(tall, 4, 2).pixels,
            (Pixels{121, 85, 154, 124, 115, 139, 125, 134, 120, 125, 129, 109,
                    148, 47, 181, 119, 122, 157, 105, 144, 139, 115, 99,  138}));
}

TEST(ResizeBicubic, OfTheSameSizeChangesNothing) {
  const Image image = counting_image(7, 5);
  EXPECT_EQ(resize_image(image, 7, 5), image);
}

TEST(ResizeBicubic, RefusesAnEmptySize) {
  testing::expect_error(ExitCode::kInput, {"0 x 5"}, [] { resize_image(counting_image(2, 2), 0, 5); });
}

TEST(ResizeAndCrop, CutsTheMiddleOfTheResizedImage) {
  // 8 x 5 becomes 6 x 4 (int(4 * 8 / 5)); columns 1 to 4 are kept.
  const PreprocessOptions options = {.size = 4};
  EXPECT_EQ(cropped(counting_image(8, 5), options),
            (Pixels{7,  8,  9,  11, 12, 13, 16, 17,  18,  20,  21,  22,  37,  38,  39,  41,
                    42, 43, 46, 47, 48, 50, 51, 52,  67,  68,  69,  71,  72,  73,  76,  77,
                    78, 80, 81, 82, 97, 98, 99, 101, 102, 103, 106, 107, 108, 110, 111, 112}));
}

TEST(ResizeAndCrop, RoundsTheCornerHalfToEven) {
  // Seven columns, four kept: 1.5 becomes column 2. Five columns: 0.5 becomes column 0 (Python's round).
  const PreprocessOptions options = {.size = 4};
  const Image seven = counting_image(7, 4);
  EXPECT_EQ(cropped(seven, options), crop(seven, 2, 0, 4, 4).pixels);
  const Image five = counting_image(5, 4);
  EXPECT_EQ(cropped(five, options), crop(five, 0, 0, 4, 4).pixels);
}

TEST(ResizeAndCrop, SquashesBothSides) {
  const Image image = counting_image(6, 3);
  const PreprocessOptions options = {.size = 4, .resize = ResizeMode::kSquash};
  EXPECT_EQ(cropped(image, options), resize_image(image, 4, 4).pixels);
}

TEST(ResizeAndCrop, OfAVeryLongImageComputesOnlyTheCrop) {
  const Image line{60000, 1, Pixels(std::size_t{60000} * 3, 77)};
  const PreprocessOptions options = {.size = 224};
  EXPECT_EQ(cropped(line, options), Pixels(options.element_count(), 77));
}

TEST(ResizeAndCrop, RefusesABufferOfAnotherSize) {
  Pixels pixels(5);
  testing::expect_error(ExitCode::kRuntime, {"got 5", "expected 48"},
                        [&] { resize_and_crop(counting_image(4, 4), {.size = 4}, pixels); });
}

TEST(NormalizePixels, SubtractsTheMeanAndDividesInPlanes) {
  const PreprocessOptions options = {.size = 1, .mean = {0.0F, 0.5F, 0.5F}, .std = {1.0F, 0.5F, 0.25F}};
  const Pixels pixels = {255, 0, 51};
  std::vector<float> values(3);
  normalize_pixels(pixels, options, values);
  EXPECT_FLOAT_EQ(values[0], 1.0F);
  EXPECT_FLOAT_EQ(values[1], -1.0F);
  EXPECT_FLOAT_EQ(values[2], -1.2F);
}

}  // namespace
}  // namespace sdsclip

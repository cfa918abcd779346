#include "sdsclip/data/image.h"

#include <gtest/gtest.h>

#include "encoded_images.h"
#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::from_hex;
using Pixels = std::vector<std::uint8_t>;

Pixels first_pixel(const Image& image) {
  return {image.pixels.begin(), image.pixels.begin() + 3};
}

// The whole comparison with Pillow, over images of every kind, is tests/parity/test_preprocess.py.

TEST(DecodeImage, ReadsAPng) {
  const Image image = decode_image(from_hex(testing::kPng), "a.png");
  EXPECT_EQ(image, (Image{2, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7}}));
}

TEST(DecodeImage, ReadsAJpegAsPillowDoes) {
  const Image image = decode_image(from_hex(testing::kJpeg), "a.jpg");
  EXPECT_EQ(image.width, 8);
  EXPECT_EQ(image.height, 8);
  EXPECT_EQ(first_pixel(image), (Pixels{198, 101, 50}));
}

TEST(DecodeImage, ConvertsCmykAsPillowDoes) {
  EXPECT_EQ(first_pixel(decode_image(from_hex(testing::kCmykJpeg), "a.jpg")), (Pixels{36, 100, 133}));
}

TEST(DecodeImage, ClipsSixteenBitGreyAsPillowDoes) {
  EXPECT_EQ(decode_image(from_hex(testing::kWideGreyPng), "a.png").pixels,
            (Pixels{0, 0, 0, 200, 200, 200, 255, 255, 255}));
}

TEST(DecodeImage, DropsTransparencyWithoutBlending) {
  EXPECT_EQ(first_pixel(decode_image(from_hex(testing::kWebp), "a.webp")), (Pixels{10, 20, 30}));
}

TEST(DecodeImage, RefusesEveryFileThatIsCutShort) {
  for (const std::string_view whole : {testing::kJpeg, testing::kCmykJpeg, testing::kPng, testing::kWebp}) {
    const std::string bytes = from_hex(whole);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      SCOPED_TRACE(size);
      testing::expect_error(ExitCode::kInput, {"photo"},
                            [&] { decode_image(std::string_view(bytes).substr(0, size), "photo"); });
    }
  }
}

TEST(DecodeImage, RefusesAPngWithAWrongChecksum) {
  std::string bytes = from_hex(testing::kPng);
  bytes[bytes.size() - 14] ^= 1;  // in the checksum of the pixels
  testing::expect_error(ExitCode::kInput, {"a.png", "damaged", "CRC"}, [&] { decode_image(bytes, "a.png"); });
}

TEST(DecodeImage, RefusesWhatIsNoImage) {
  testing::expect_error(ExitCode::kInput, {"notes.txt", "JPEG, PNG or WebP"},
                        [] { decode_image("GIF89a and more", "notes.txt"); });
  testing::expect_error(ExitCode::kInput, {"empty.jpg", "empty file"}, [] { decode_image("", "empty.jpg"); });
}

TEST(DecodeImage, RefusesMorePixelsThanPillowDoes) {
  testing::expect_error(ExitCode::kInput, {"huge.png", "60000 x 60000"},
                        [] { decode_image(from_hex(testing::kHugePng), "huge.png"); });
}

TEST(ReadImage, NamesTheFile) {
  const testing::TemporaryFolder folder;
  testing::expect_error(ExitCode::kInput, {"missing.png", "No such file"},
                        [&] { read_image(folder / "missing.png"); });
  testing::expect_error(ExitCode::kInput, {"regular file"}, [&] { read_image(folder.path()); });
  write_file_atomically(folder / "a.png", from_hex(testing::kPng));
  EXPECT_EQ(read_image(folder / "a.png").width, 2);
}

TEST(Crop, CutsInsideAndIsBlackOutside) {
  const Image image{2, 2, {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}};
  EXPECT_EQ(crop(image, 1, 0, 1, 2), (Image{1, 2, {2, 2, 2, 4, 4, 4}}));
  EXPECT_EQ(crop(image, -1, 1, 2, 2), (Image{2, 2, {0, 0, 0, 3, 3, 3, 0, 0, 0, 0, 0, 0}}));
  EXPECT_EQ(crop(image, 5, 5, 1, 1), (Image{1, 1, {0, 0, 0}}));
  EXPECT_EQ(crop(image, 2147483647, 0, 2, 1), (Image{2, 1, {0, 0, 0, 0, 0, 0}}));
}

TEST(Crop, RefusesAnEmptyBox) {
  testing::expect_error(ExitCode::kInput, {"0 x 3"}, [] { crop(Image{1, 1, {0, 0, 0}}, 0, 0, 0, 3); });
}

}  // namespace
}  // namespace sdsclip

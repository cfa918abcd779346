#include "sdsclip/data/image.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

#include "encoded_images.h"
#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::from_hex;
using Pixels = std::vector<std::uint8_t>;

/// The most memory that this process ever had, in bytes.
std::size_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

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

TEST(DecodeImage, RefusesEveryTruncatedFile) {
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

TEST(DecodeImage, RefusesBytesThatAreNotAnImage) {
  testing::expect_error(ExitCode::kInput, {"notes.txt", "JPEG, PNG, WebP, BMP, TIFF or PPM"},
                        [] { decode_image("GIF89a and more", "notes.txt"); });
  testing::expect_error(ExitCode::kInput, {"empty.jpg", "empty file"}, [] { decode_image("", "empty.jpg"); });
}

TEST(DecodeImage, RefusesMorePixelsThanPillowDoes) {
  testing::expect_error(ExitCode::kInput, {"huge.png", "60000 x 60000"},
                        [] { decode_image(from_hex(testing::kHugePng), "huge.png"); });
}

std::string be32(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift & 0xFF));
  return bytes;
}

std::string png_chunk(const std::string& kind, const std::string& content) {
  const std::string body = kind + content;
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return be32(static_cast<std::uint32_t>(content.size())) + body + be32(static_cast<std::uint32_t>(sum));
}

TEST(DecodeImage, TakesNoMemoryForATextThatAPngClaims) {
  std::string bytes = from_hex(testing::kPng);
  const std::size_t header_end = 8 + 25;
  bytes.insert(header_end, be32(0x7FFFFFF0) + "tEXtComment");
  const std::size_t before = peak_memory();
  testing::expect_error(ExitCode::kInput, {"a.png", "ends too early"}, [&] { decode_image(bytes, "a.png"); });
  EXPECT_LT(peak_memory() - before, std::size_t{16} << 20);
}

TEST(DecodeImage, SkipsALargeTextInAPng) {
  std::string bytes = from_hex(testing::kPng);
  bytes.insert(8 + 25, png_chunk("tEXt", "Comment" + std::string(1, '\0') + std::string(20 << 20, 'x')));
  EXPECT_EQ(decode_image(bytes, "a.png").width, 2);
}

TEST(DecodeImage, RefusesMorePixelsThanTheBytesCanHold) {
  std::string png = from_hex(testing::kPng);
  const std::string header = be32(10000) + be32(10000) + png.substr(24, 5);
  png.replace(8, 25, png_chunk("IHDR", header));
  const std::size_t before = peak_memory();
  testing::expect_error(ExitCode::kInput, {"a.png", "cannot hold 10000 x 10000 pixels"},
                        [&] { decode_image(png, "a.png"); });
  for (const std::string_view whole : {testing::kJpeg, testing::kCmykJpeg}) {
    std::string jpeg = from_hex(whole);
    const std::size_t frame = jpeg.find("\xff\xc0");
    ASSERT_NE(frame, std::string::npos);
    jpeg[frame + 1] = '\xc2';  // progressive
    jpeg.replace(frame + 5, 4, std::string("\x27\x10\x27\x10", 4));
    testing::expect_error(ExitCode::kInput, {"a.jpg", "cannot hold 10000 x 10000 pixels"},
                          [&] { decode_image(jpeg, "a.jpg"); });
  }
  EXPECT_LT(peak_memory() - before, std::size_t{16} << 20);
}

TEST(DecodeImage, RefusesAJpegOfTooManyScans) {
  std::string jpeg = from_hex(testing::kScansJpeg);  // progressive: ten scans
  EXPECT_EQ(decode_image(jpeg, "a.jpg").width, 16);
  const std::size_t first = jpeg.find("\xff\xda");
  const std::size_t end = jpeg.find("\xff\xc4", first);
  const std::string scan = jpeg.substr(first, end - first);
  for (int i = 0; i < 95; ++i) jpeg.insert(end, scan);
  testing::expect_error(ExitCode::kInput, {"a.jpg", "more than 100 scans"},
                        [&] { decode_image(jpeg, "a.jpg"); });
}

TEST(ReadImage, NeverWaitsForAFifoOrReadsADevice) {
  const testing::TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.png").c_str(), 0600), 0);
  testing::expect_error(ExitCode::kInput, {"pipe.png", "expected a regular file"},
                        [&] { read_image(folder / "pipe.png"); });
  testing::expect_error(ExitCode::kInput, {"/dev/zero", "expected a regular file"},
                        [&] { read_image("/dev/zero"); });
}

TEST(ReadImage, RefusesAFileOfMoreThanAGibibyteUnread) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "sparse.png", "x");
  std::filesystem::resize_file(folder / "sparse.png", std::uintmax_t{1} << 40);
  testing::expect_error(ExitCode::kInput, {"sparse.png", "1073741824"},
                        [&] { read_image(folder / "sparse.png"); });
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

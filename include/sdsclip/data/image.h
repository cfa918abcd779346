#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// A decoded image: interleaved RGB, row after row, 8 bits a channel.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;  ///< height * width * 3

  [[nodiscard]] const std::uint8_t* row(int y) const {
    return pixels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
  bool operator==(const Image&) const = default;
};

/// What Pillow's `Image.open(file).convert("RGB")` gives, bit for bit, for JPEG (baseline, progressive, grey,
/// CMYK, YCCK), PNG (every colour type and depth) and WebP (still):
/// - alpha and palette transparency are dropped, not blended;
/// - 16-bit grey is clipped to 255 and other 16-bit channels keep their high byte, as Pillow does;
/// - EXIF orientation and colour profiles are ignored, as the Python originals ignore them.
///
/// The formats' own libraries are used and not OpenCV, which returns an image for a truncated JPEG, is off by
/// one on CMYK and scales 16-bit grey differently. Stricter than Pillow, a damaged file is never an image: a
/// JPEG whose entropy-coded data are corrupt, a PNG with a wrong checksum or without its end.
///
/// `name` stands for the file in errors. Throws `Error(kInput)` on anything that is no such image, is
/// damaged, ends early, or has more than 178,956,970 pixels (Pillow's own limit).
Image decode_image(std::string_view bytes, const std::string& name);

/// `decode_image` of a file. Throws `Error(kInput)` also where it cannot be read.
Image read_image(const std::filesystem::path& path);

/// The rectangle of `width` x `height` pixels whose corner is (x, y), as Pillow's `crop`: what lies outside
/// the image is black. `width` and `height` are 1 or more (else `Error(kInput)`).
Image crop(const Image& image, int x, int y, int width, int height);

}  // namespace sdsclip

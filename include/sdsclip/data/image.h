#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// A decoded image: interleaved RGB, row by row, 8 bits per channel.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;  ///< height * width * 3

  [[nodiscard]] const std::uint8_t* row(int y) const {
    return pixels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
  bool operator==(const Image&) const = default;
};

/// Pillow's mode of a file, as far as it changes how Pillow resizes the image.
enum class PixelMode {
  kRgb,      ///< "RGB" and "L"
  kNearest,  ///< "P" and "1": Pillow takes the nearest pixel, whatever filter is asked for
  kRgba,     ///< "RGBA" and "LA": resized with the colours multiplied by alpha
  kCmyk,     ///< "CMYK": resized ink by ink
  kGrey16    ///< "I;16": resized in 16 bits
};

/// An image as its file stores it, before the conversion to RGB.
struct StoredImage {
  PixelMode mode = PixelMode::kRgb;
  Image colour;                      ///< RGB; the inks C, M, Y; of kGrey16 only width and height
  std::vector<std::uint8_t> fourth;  ///< kRgba: alpha; kCmyk: K; kGrey16: the samples, two bytes each
};

/// Reads JPEG (baseline, progressive, grey, CMYK, YCCK), PNG (every colour type and depth), WebP (still, or
/// the first frame of an animation), and common variants of BMP, TIFF and PPM (docs/security.md lists them).
/// The pixels equal those of Pillow's `Image.open` bit for bit:
/// - 16-bit channels other than grey keep their high byte;
/// - EXIF orientation and colour profiles are ignored, as the Python originals ignore them.
///
/// The formats' own libraries decode most files, because OpenCV accepts a truncated JPEG, is off by one on
/// CMYK and scales 16-bit grey differently. A damaged file is always an error, also where Pillow accepts it:
/// corrupt entropy-coded JPEG data, a wrong PNG checksum, a missing PNG end.
///
/// `name` names the file in errors. Throws `Error(kInput)` if the bytes are not such an image, are damaged or
/// truncated, or exceed a limit of docs/security.md, such as 178,956,970 pixels (Pillow's limit). Without
/// `keep_alpha`, an RGBA image becomes RGB at once, as by `convert("RGB")`.
StoredImage decode_stored_image(std::string_view bytes, const std::string& name, bool keep_alpha = true);

/// Pillow's `convert("RGB")`: alpha and palette transparency are dropped, not blended, and 16-bit grey is
/// clipped to 255.
Image to_rgb(StoredImage image);

/// The pixels of Pillow's `Image.open(file).convert("RGB")`: `to_rgb(decode_stored_image(...))`.
Image decode_image(std::string_view bytes, const std::string& name);

/// The version of OpenCV, which decodes BMP, TIFF and PPM.
std::string opencv_version();

/// Reads a whole image file. Throws `Error(kInput)` if it cannot be read, is not a regular file (a folder, a
/// FIFO, a device) or has more than 1 GiB.
std::string read_image_bytes(const fs::path& path);

/// Throws `Error(kInput)` if `file`, with its links followed, is not inside `folder`. `where` names the
/// record that refers to the file.
void require_inside(const fs::path& folder, const fs::path& file, const std::string& where);

/// Reads and decodes an image file. Throws `Error(kInput)` if it cannot be read, like `decode_image`.
Image read_image(const fs::path& path);

/// The rectangle of `width` x `height` pixels whose corner is (x, y), as Pillow's `crop` gives it: parts
/// outside the image are black. Throws `Error(kInput)` if `width` or `height` is below 1.
Image crop(const Image& image, int x, int y, int width, int height);

}  // namespace sdsclip

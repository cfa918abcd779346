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

/// Pillow's mode of a file, as far as it decides how Pillow resizes it.
enum class PixelMode {
  kRgb,      ///< "RGB" and "L"
  kNearest,  ///< "P" and "1": Pillow takes the nearest pixel, whatever it is asked for
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
/// the first frame of an animation), and the common variants of BMP, TIFF and PPM (docs/security.md lists
/// them), bit for bit as Pillow's `Image.open` does:
/// - 16-bit channels other than grey keep their high byte, as in Pillow;
/// - EXIF orientation and colour profiles are ignored, as the Python originals ignore them.
///
/// The formats' own libraries are used where OpenCV differs: it returns an image for a truncated JPEG, is off
/// by one on CMYK and scales 16-bit grey differently. Stricter than Pillow, a damaged file is never an image:
/// a JPEG whose entropy-coded data are corrupt, a PNG with a wrong checksum or without its end.
///
/// `name` stands for the file in errors. Throws `Error(kInput)` on anything that is no such image, is
/// damaged, ends early, or is beyond a limit of docs/security.md, such as 178,956,970 pixels (Pillow's own).
/// Without `keep_alpha`, what `convert("RGB")` would drop is not kept: RGBA is RGB.
StoredImage decode_stored_image(std::string_view bytes, const std::string& name, bool keep_alpha = true);

/// Pillow's `convert("RGB")`: alpha and palette transparency are dropped, not blended, and 16-bit grey is
/// clipped to 255.
Image to_rgb(StoredImage image);

/// What Pillow's `Image.open(file).convert("RGB")` gives: `to_rgb(decode_stored_image(...))`.
Image decode_image(std::string_view bytes, const std::string& name);

/// The whole of an image file. Throws `Error(kInput)` where it cannot be read, is no regular file (a folder,
/// a FIFO, a device) or has more than 1 GiB.
std::string read_image_bytes(const std::filesystem::path& path);

/// Throws `Error(kInput)` where `file`, its links followed, does not lie in `folder`. `where` names the
/// record that says so.
void require_inside(const std::filesystem::path& folder, const std::filesystem::path& file,
                    const std::string& where);

/// `decode_image` of a file. Throws `Error(kInput)` also where it cannot be read.
Image read_image(const std::filesystem::path& path);

/// The rectangle of `width` x `height` pixels whose corner is (x, y), as Pillow's `crop`: what lies outside
/// the image is black. `width` and `height` are 1 or more (else `Error(kInput)`).
Image crop(const Image& image, int x, int y, int width, int height);

}  // namespace sdsclip

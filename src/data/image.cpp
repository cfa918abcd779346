#include "sdsclip/data/image.h"

#include <algorithm>
#include <cstring>

#include "decoders.h"
#include "sdsclip/base/file_reader.h"

namespace sdsclip {
namespace {

constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;  // kMostPixels uncompressed, with alpha
constexpr std::uint64_t kMostPixels = 178'956'970;  // twice Pillow's MAX_IMAGE_PIXELS: Pillow raises above it

Error too_large(std::uint64_t bytes, const std::string& name) {
  return input_error("{}: got {} bytes, expected an image of at most {}; scale it down", name, bytes,
                     kMostFileBytes);
}

/// Pillow's conversion of CMYK to RGB (`Convert.c`, `cmyk2rgb`).
void cmyk_to_rgb(StoredImage& image) {
  for (std::size_t i = 0; i < image.fourth.size(); ++i) {
    const unsigned int white = 255U - image.fourth[i];
    for (std::size_t ink = i * 3; ink < i * 3 + 3; ++ink) {
      const unsigned int product = image.colour.pixels[ink] * white + 128U;
      const unsigned int covered = (product + (product >> 8)) >> 8;  // ink * white / 255, rounded
      image.colour.pixels[ink] = static_cast<std::uint8_t>(white - covered);
    }
  }
}

/// Pillow's conversion of 16-bit grey (`Convert.c`, `I16_RGB`): values above 255 are white.
void clip_grey(StoredImage& image) {
  const std::size_t count = image.fourth.size() / 2;
  image.colour.pixels.resize(count * 3);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t value = 0;
    std::memcpy(&value, image.fourth.data() + i * 2, 2);
    std::memset(image.colour.pixels.data() + i * 3, std::min<int>(value, 255), 3);
  }
}

}  // namespace

void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name) {
  if (width == 0 || height == 0) throw damaged_image(name, "it has no pixels");
  if (width > kMostPixels || height > kMostPixels || width * height > kMostPixels) {
    throw input_error("{}: got an image of {} x {} pixels, expected at most {} in total; scale it down", name,
                      width, height, kMostPixels);
  }
}

void require_memory(int width, int height) {
  constexpr std::size_t kBytesPerPixel = 16;  // the pixels twice, and the decoder's own buffers
  const std::size_t bytes =
      static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * kBytesPerPixel;
  ::operator delete(::operator new(bytes + (std::size_t{1} << 20)));
}

Error damaged_image(const std::string& name, std::string_view reason) {
  return input_error("{}: the image is damaged or cut short: {}; fetch it again or remove it", name, reason);
}

StoredImage split_channels(PixelMode mode, int width, int height, const std::vector<std::uint8_t>& pixels) {
  const std::size_t count = pixels.size() / 4;
  StoredImage image{mode, {width, height, std::vector<std::uint8_t>(count * 3)}, {}};
  image.fourth.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(image.colour.pixels.data() + i * 3, pixels.data() + i * 4, 3);
    image.fourth[i] = pixels[i * 4 + 3];
  }
  return image;
}

StoredImage decode_stored_image(std::string_view bytes, const std::string& name, bool keep_alpha) {
  if (bytes.size() > kMostFileBytes) throw too_large(bytes.size(), name);
  const auto starts_with = [bytes](std::string_view mark) { return bytes.starts_with(mark); };
  if (starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, name);
  if (starts_with("\x89PNG\r\n\x1a\n")) return decode_png(bytes, name, keep_alpha);
  const bool is_webp = starts_with("RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP";
  if (is_webp) return decode_webp(bytes, name, keep_alpha);
  if (starts_with("BM")) return decode_bmp(bytes, name);
  if (starts_with({"II*\0", 4}) || starts_with({"MM\0*", 4})) return decode_tiff(bytes, name);
  const bool is_ppm = starts_with("P") && bytes.size() >= 2 && bytes[1] >= '1' && bytes[1] <= '7';
  if (is_ppm) return decode_ppm(bytes, name);
  if (bytes.empty()) throw input_error("{}: got an empty file, expected an image", name);
  throw input_error("{}: not an image that can be read; expected a JPEG, PNG, WebP, BMP, TIFF or PPM", name);
}

Image to_rgb(StoredImage image) {
  if (image.mode == PixelMode::kCmyk) cmyk_to_rgb(image);
  if (image.mode == PixelMode::kGrey16) clip_grey(image);
  return std::move(image.colour);
}

Image decode_image(std::string_view bytes, const std::string& name) {
  return to_rgb(decode_stored_image(bytes, name, false));
}

std::string read_image_bytes(const fs::path& path) {
  const FileReader file(path);
  if (file.size() > kMostFileBytes) throw too_large(file.size(), path.string());
  return file.read(0, static_cast<std::size_t>(file.size()));
}

void require_inside(const fs::path& folder, const fs::path& file, const std::string& where) {
  std::error_code failure;
  const fs::path inner = fs::weakly_canonical(file, failure);
  const fs::path outer = failure ? "" : fs::canonical(folder, failure);
  const auto [end, ignored] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  if (failure || end != outer.end()) {
    throw input_error("{}: {} is outside {}; move it there, or leave out --confine-data (data.confine)",
                      where, file.string(), folder.string());
  }
}

Image read_image(const fs::path& path) {
  return decode_image(read_image_bytes(path), path.string());
}

Image crop(const Image& image, int x, int y, int width, int height) {
  if (width < 1 || height < 1) {
    throw input_error("crop: got a box of {} x {} pixels, expected 1 x 1 or more", width, height);
  }
  check_image_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), "crop");
  Image result{width, height, {}};
  result.pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, 0);
  // 64 bits, because x + width of an arbitrary box can overflow an int.
  const std::int64_t left = std::max<std::int64_t>(0, x);
  const std::int64_t right = std::min<std::int64_t>(image.width, std::int64_t{x} + width);
  const std::int64_t top = std::max<std::int64_t>(0, y);
  const std::int64_t bottom = std::min<std::int64_t>(image.height, std::int64_t{y} + height);
  if (left >= right) return result;
  for (std::int64_t source = top; source < bottom; ++source) {
    const std::size_t target = static_cast<std::size_t>((source - y) * width + (left - x)) * 3;
    std::memcpy(result.pixels.data() + target, image.row(static_cast<int>(source)) + left * 3,
                static_cast<std::size_t>(right - left) * 3);
  }
  return result;
}

}  // namespace sdsclip

#include "sdsclip/data/image.h"

#include <algorithm>
#include <cstring>

#include "decoders.h"
#include "file_reader.h"

namespace sdsclip {
namespace {

constexpr std::uint64_t kMostPixels = 178'956'970;  // twice Pillow's MAX_IMAGE_PIXELS: where it raises

bool is_jpeg(std::string_view bytes) {
  return bytes.starts_with("\xff\xd8\xff");
}
bool is_png(std::string_view bytes) {
  return bytes.starts_with("\x89PNG\r\n\x1a\n");
}
bool is_webp(std::string_view bytes) {
  return bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP";
}

}  // namespace

void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name) {
  if (width == 0 || height == 0) throw damaged_image(name, "it has no pixels");
  if (width > kMostPixels || height > kMostPixels || width * height > kMostPixels) {
    throw input_error("{}: got an image of {} x {} pixels, expected at most {} in all; scale it down", name,
                      width, height, kMostPixels);
  }
}

Error damaged_image(const std::string& name, std::string_view reason) {
  return input_error("{}: the image is damaged or cut short: {}; fetch it again or remove it", name, reason);
}

Image decode_image(std::string_view bytes, const std::string& name) {
  if (is_jpeg(bytes)) return decode_jpeg(bytes, name);
  if (is_png(bytes)) return decode_png(bytes, name);
  if (is_webp(bytes)) return decode_webp(bytes, name);
  if (bytes.empty()) throw input_error("{}: got an empty file, expected an image", name);
  throw input_error("{}: not an image that can be read; expected a JPEG, PNG or WebP", name);
}

Image read_image(const std::filesystem::path& path) {
  return decode_image(read_whole_file(path), path.string());
}

Image crop(const Image& image, int x, int y, int width, int height) {
  if (width < 1 || height < 1) {
    throw input_error("crop: got a box of {} x {} pixels, expected 1 x 1 or more", width, height);
  }
  check_image_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), "crop");
  Image result{width, height, {}};
  result.pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, 0);
  // In 64 bits, because x + width of a wild box overflows an int.
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

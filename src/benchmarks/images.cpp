#include "sdsclip/benchmarks/images.h"

#include <string>

#include "sdsclip/base/error.h"
#include "tar_index.h"

namespace sdsclip {
namespace {

// Reorders planes (channel by channel) into interleaved pixels.
Image from_raw_pixels(const std::string& bytes, const RawPixels& raw) {
  Image image{.width = raw.width, .height = raw.height, .pixels = {}};
  const std::size_t plane = static_cast<std::size_t>(raw.width) * static_cast<std::size_t>(raw.height);
  const std::size_t step = raw.channels == 1 ? 0 : plane;
  image.pixels.resize(plane * 3);
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      image.pixels[i * 3 + channel] = static_cast<std::uint8_t>(bytes[channel * step + i]);
    }
  }
  return image;
}

std::string read_bytes(const BenchmarkImage& image) {
  if (image.unpacked) return image.unpacked->substr(image.range.offset, image.range.size);
  return image.range.size == 0 ? read_image_bytes(image.file) : read_range(image.file, image.range);
}

std::string name_of(const BenchmarkImage& image) {
  return image.range.size == 0 ? image.file.string() : image.id;
}

}  // namespace

Image read_benchmark_image(const BenchmarkImage& image) {
  const std::string bytes = read_bytes(image);
  Image pixels = image.raw ? from_raw_pixels(bytes, *image.raw) : decode_image(bytes, name_of(image));
  if (!image.crop) return pixels;
  const Box& box = *image.crop;
  return crop(pixels, box.x, box.y, box.width, box.height);
}

void read_square(const BenchmarkImage& image, const PreprocessOptions& options, std::span<std::uint8_t> out) {
  if (image.raw || image.crop) return resize_and_crop(read_benchmark_image(image), options, out);
  resize_and_crop(decode_for(options, read_bytes(image), name_of(image)), options, out);
}

}  // namespace sdsclip

#include "sdsclip/data/preprocess.h"

#include <algorithm>
#include <cmath>

#include "resample.h"
#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

void check_length(std::string_view what, std::size_t got, const PreprocessOptions& options) {
  if (got != options.element_count()) {
    throw runtime_failure("{}: got {} elements, expected {} ({} x {} x 3)", what, got,
                          options.element_count(), options.size, options.size);
  }
}

/// torchvision's `int(size * long / short)`: a division of doubles, rounded towards zero.
int long_side(int size, int longer, int shorter) {
  const double exact = static_cast<double>(std::int64_t{size} * longer) / shorter;
  if (exact >= 2147483647.0) {
    throw input_error("an image of {} x {} pixels is too narrow to be resized to {}", longer, shorter, size);
  }
  return static_cast<int>(exact);
}

/// torchvision's `int(round((side - size) / 2.0))`: Python rounds halves to even.
int crop_offset(int side, int size) {
  const int difference = side - size;
  const int half = difference / 2;
  return difference % 2 == 0 ? half : half + half % 2;
}

}  // namespace

Image resize_image(const Image& image, int width, int height, Interpolation interpolation) {
  if (width < 1 || height < 1) {
    throw input_error("resize: got {} x {} pixels, expected 1 x 1 or more", width, height);
  }
  Image result{width, height, {}};
  result.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  resample_window(image, width, height, {0, 0, width, height}, interpolation, result.pixels.data());
  return result;
}

void resize_and_crop(const Image& image, const PreprocessOptions& options, std::span<std::uint8_t> out) {
  check_length("resize_and_crop", out.size(), options);
  int width = options.size;
  int height = options.size;
  if (options.resize == ResizeMode::kShortestEdge) {
    if (image.width <= image.height) {
      height = long_side(options.size, image.height, image.width);
    } else {
      width = long_side(options.size, image.width, image.height);
    }
  }
  const Window window = {crop_offset(width, options.size), crop_offset(height, options.size), options.size,
                         options.size};
  resample_window(image, width, height, window, options.interpolation, out.data());
}

void normalize_pixels(std::span<const std::uint8_t> pixels, const PreprocessOptions& options,
                      std::span<float> out) {
  check_length("normalize_pixels", pixels.size(), options);
  check_length("normalize_pixels", out.size(), options);
  const std::size_t plane = pixels.size() / 3;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    std::array<float, 256> values{};
    for (std::size_t byte = 0; byte < values.size(); ++byte) {
      values[byte] = (static_cast<float>(byte) / 255.0F - options.mean[channel]) / options.std[channel];
    }
    for (std::size_t i = 0; i < plane; ++i) out[channel * plane + i] = values[pixels[i * 3 + channel]];
  }
}

void preprocess(const Image& image, const PreprocessOptions& options, std::span<float> out) {
  std::vector<std::uint8_t> pixels(options.element_count());
  resize_and_crop(image, options, pixels);
  normalize_pixels(pixels, options, out);
}

}  // namespace sdsclip

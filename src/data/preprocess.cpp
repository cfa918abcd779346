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

/// torchvision's `int(size * long / short)`: a division in doubles, rounded towards zero.
int long_side(int size, int longer, int shorter) {
  const double exact = static_cast<double>(std::int64_t{size} * longer) / shorter;
  if (exact >= 2147483647.0) {
    throw input_error("an image of {} x {} pixels is too narrow to be resized to {}", longer, shorter, size);
  }
  return static_cast<int>(exact);
}

/// torchvision's `int(round((side - size) / 2.0))`, where Python rounds halves to even, or transformers'
/// `(side - size) // 2`.
int crop_offset(int side, int size, CropRounding rounding) {
  const int difference = side - size;
  const int half = difference / 2;
  if (rounding == CropRounding::kFloor || difference % 2 == 0) return half;
  return half + half % 2;
}

/// The size before the crop, and the part that is kept.
struct Resized {
  int width = 0;
  int height = 0;
  Window window;
  [[nodiscard]] bool is_size_of(const Image& image) const {
    return image.width == width && image.height == height;
  }
};

Resized resized_size(int image_width, int image_height, const PreprocessOptions& options) {
  int width = options.size;
  int height = options.size;
  if (options.resize == ResizeMode::kShortestEdge) {
    if (image_width <= image_height) {
      height = long_side(options.size, image_height, image_width);
    } else {
      width = long_side(options.size, image_width, image_height);
    }
  }
  return {width,
          height,
          {crop_offset(width, options.size, options.crop_rounding),
           crop_offset(height, options.size, options.crop_rounding), options.size, options.size}};
}

/// Resizes all four channels separately.
StoredImage resize_channels(const StoredImage& image, const Resized& resized, Interpolation interpolation) {
  const Window& window = resized.window;
  const std::size_t count = static_cast<std::size_t>(window.width) * static_cast<std::size_t>(window.height);
  const auto resize = [&](const Image& source) {
    Image result{window.width, window.height, std::vector<std::uint8_t>(count * 3)};
    resample_window(source, resized.width, resized.height, window, interpolation, result.pixels.data());
    return result;
  };
  // The fourth channel uses the code for three channels: such images are too rare for their own code.
  Image fourth{image.colour.width, image.colour.height, std::vector<std::uint8_t>(image.fourth.size() * 3)};
  for (std::size_t i = 0; i < image.fourth.size(); ++i) fourth.pixels[i * 3] = image.fourth[i];
  fourth = resize(fourth);
  StoredImage result{image.mode, resize(image.colour), std::vector<std::uint8_t>(count)};
  for (std::size_t i = 0; i < count; ++i) result.fourth[i] = fourth.pixels[i * 3];
  return result;
}

/// Pillow's "RGBA" to "RGBa" (`Convert.c`, `rgbA2rgba`).
void multiply_by_alpha(StoredImage& image) {
  for (std::size_t i = 0; i < image.fourth.size(); ++i) {
    for (std::size_t at = i * 3; at < i * 3 + 3; ++at) {
      const unsigned int product =
          static_cast<unsigned int>(image.colour.pixels[at]) * image.fourth[i] + 128U;
      image.colour.pixels[at] = static_cast<std::uint8_t>((product + (product >> 8)) >> 8);
    }
  }
}

/// Pillow's "RGBa" to "RGBA" (`Convert.c`, `rgba2rgbA`).
void divide_by_alpha(StoredImage& image) {
  for (std::size_t i = 0; i < image.fourth.size(); ++i) {
    const unsigned int alpha = image.fourth[i];
    if (alpha == 0 || alpha == 255) continue;
    for (std::size_t at = i * 3; at < i * 3 + 3; ++at) {
      image.colour.pixels[at] =
          static_cast<std::uint8_t>(std::min(255U, 255U * image.colour.pixels[at] / alpha));
    }
  }
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
  const Resized resized = resized_size(image.width, image.height, options);
  resample_window(image, resized.width, resized.height, resized.window, options.interpolation, out.data());
}

StoredImage decode_for(const PreprocessOptions& options, std::string_view bytes, const std::string& name) {
  return decode_stored_image(bytes, name, options.convert == ConvertOrder::kAfterResize);
}

void resize_and_crop(const StoredImage& image, const PreprocessOptions& options,
                     std::span<std::uint8_t> out) {
  const bool is_rgb = image.mode == PixelMode::kRgb || image.mode == PixelMode::kRgba;
  if (image.mode == PixelMode::kRgb || (options.convert == ConvertOrder::kFirst && is_rgb)) {
    return resize_and_crop(image.colour, options, out);
  }
  if (options.convert == ConvertOrder::kFirst) return resize_and_crop(to_rgb(image), options, out);
  check_length("resize_and_crop", out.size(), options);
  const Resized resized = resized_size(image.colour.width, image.colour.height, options);
  StoredImage square{image.mode, {options.size, options.size, {}}, {}};
  if (image.mode == PixelMode::kNearest) {
    square.colour = nearest_window(image.colour, resized.width, resized.height, resized.window);
  } else if (image.mode == PixelMode::kGrey16) {
    square.fourth =
        resample_grey16(image, resized.width, resized.height, resized.window, options.interpolation);
  } else if (image.mode == PixelMode::kCmyk || resized.is_size_of(image.colour)) {
    square = resize_channels(
        image, resized,
        options.interpolation);  // Pillow copies an image that already has the size, even with alpha
  } else {
    StoredImage multiplied = image;
    multiply_by_alpha(multiplied);
    square = resize_channels(multiplied, resized, options.interpolation);
    divide_by_alpha(square);
  }
  const Image rgb = to_rgb(std::move(square));
  std::copy(rgb.pixels.begin(), rgb.pixels.end(), out.begin());
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

}  // namespace sdsclip

#pragma once

#include <cstdint>

#include "sdsclip/data/image.h"
#include "sdsclip/data/preprocess.h"

namespace sdsclip {

/// A rectangle of a resized image.
struct Window {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

/// Resizes `image` to `width` x `height` with Pillow's resampling and writes the pixels of `window` to `out`
/// (window.height x window.width x 3 bytes). Only these pixels are computed.
void resample_window(const Image& image, int width, int height, const Window& window,
                     Interpolation interpolation, std::uint8_t* out);

/// The same with the nearest pixel, as Pillow always resizes palette and 1-bit images.
Image nearest_window(const Image& image, int width, int height, const Window& window);

/// The same for 16-bit grey (`PixelMode::kGrey16`), like Pillow's "I;16": two bytes per sample.
std::vector<std::uint8_t> resample_grey16(const StoredImage& image, int width, int height,
                                          const Window& window, Interpolation interpolation);

}  // namespace sdsclip

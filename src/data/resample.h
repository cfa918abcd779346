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

/// The pixels in `window` of `image` resized to `width` x `height` by Pillow's resampling, to `out`
/// (window.height x window.width x 3 bytes). Nothing outside the window is computed.
void resample_window(const Image& image, int width, int height, const Window& window,
                     Interpolation interpolation, std::uint8_t* out);

/// The same by the nearest pixel: what Pillow does with palettes and 1-bit images, whatever it is asked for.
Image nearest_window(const Image& image, int width, int height, const Window& window);

/// The same of 16-bit grey (`PixelMode::kGrey16`): two bytes per sample, as Pillow's "I;16" is resized.
std::vector<std::uint8_t> resample_grey16(const StoredImage& image, int width, int height,
                                          const Window& window, Interpolation interpolation);

}  // namespace sdsclip

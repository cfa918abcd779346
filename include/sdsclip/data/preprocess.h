#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sdsclip/data/image.h"

namespace sdsclip {

/// How an image of any shape becomes a square.
enum class ResizeMode {
  kShortestEdge,  ///< the shorter side becomes `size`, then the middle square is cut out
  kSquash         ///< both sides become `size`
};

/// The names of `ResizeMode` in bundles and on the command line.
inline constexpr std::array<std::string_view, 2> kResizeNames = {"shortest_edge", "squash"};

/// Pillow's filters for the resize, both with antialiasing.
enum class Interpolation { kBicubic, kBilinear };

/// Where the centre crop starts when an odd number of pixels is left over.
enum class CropRounding {
  kRound,  ///< half of the rest, rounded half to even (torchvision, open_clip)
  kFloor   ///< half of the rest, rounded down (transformers)
};

/// When an image of another mode than RGB (palette, alpha, CMYK, 16-bit grey) becomes RGB.
enum class ConvertOrder {
  kFirst,       ///< before the resize (transformers; the authors' code of ARO and Winoground)
  kAfterResize  ///< after it (open_clip's transform)
};

/// The names of `ConvertOrder` in configurations.
inline constexpr std::array<std::string_view, 2> kConvertNames = {"first", "after_resize"};
inline constexpr std::string_view kConvertText =
    "When a palette, alpha, CMYK or 16-bit grey image becomes RGB: first (before the resize, as transformers "
    "and the authors' code of ARO and Winoground do) or after_resize (as open_clip does). Set it to "
    "reproduce the scores of the other library.";

/// The image section of a bundle, and how images are read for it.
struct PreprocessOptions {
  int size = 224;                                         ///< pixels per side
  ResizeMode resize = ResizeMode::kShortestEdge;          ///< how the image becomes a square
  Interpolation interpolation = Interpolation::kBicubic;  ///< filter of the resize
  CropRounding crop_rounding = CropRounding::kRound;      ///< where the square is cut
  ConvertOrder convert = ConvertOrder::kFirst;            ///< when a `StoredImage` becomes RGB
  std::array<float, 3> mean = {0.48145466F, 0.4578275F,
                               0.40821073F};  ///< of R, G, B in [0, 1] (OpenAI CLIP's values)
  std::array<float, 3> std = {0.26862954F, 0.26130258F, 0.27577711F};  ///< likewise

  /// Values per image: bytes between `resize_and_crop` and `normalize_pixels`, floats after it.
  [[nodiscard]] std::size_t element_count() const {
    return static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  }
};

/// Resizes with antialiasing, bit for bit like Pillow 13's `resize((width, height), BICUBIC)` or `BILINEAR`
/// of an RGB image (`src/libImaging/Resample.c`: a = -0.5, weights in 22-bit fixed point, one pass per
/// direction with 8-bit pixels between them). `width` and `height` are 1 or more.
Image resize_image(const Image& image, int width, int height,
                   Interpolation interpolation = Interpolation::kBicubic);

/// torchvision's `Resize` and `CenterCrop` on a Pillow image, bit for bit: the longer side becomes `int(size
/// * long / short)`, and `crop_rounding` decides the crop's corner. `out` takes size x size x 3 bytes,
/// interleaved RGB. Only the pixels that the crop keeps are computed. Throws `Error(kInput)` on an image so
/// narrow that its longer side would not fit an int.
void resize_and_crop(const Image& image, const PreprocessOptions& options, std::span<std::uint8_t> out);

/// The same for an image as its file stores it, which becomes RGB when `options.convert` says. With
/// `kAfterResize` the result is that of torchvision's `Resize` and `CenterCrop` on the image as Pillow opens
/// it, and then `convert("RGB")`: palette and 1-bit images take the nearest pixel, colours are multiplied by
/// alpha while they are resized, and CMYK is resized ink by ink.
void resize_and_crop(const StoredImage& image, const PreprocessOptions& options, std::span<std::uint8_t> out);

/// Decodes an image file's bytes for `resize_and_crop`. `name` names the file in errors.
StoredImage decode_for(const PreprocessOptions& options, std::string_view bytes, const std::string& name);

/// Computes `(x / 255 - mean) / std` in float32, bit for bit like torchvision's `ToTensor` and `Normalize`:
/// interleaved bytes (size x size x 3) become planes, float [3, size, size].
void normalize_pixels(std::span<const std::uint8_t> pixels, const PreprocessOptions& options,
                      std::span<float> out);

}  // namespace sdsclip

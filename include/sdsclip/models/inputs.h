#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// The preprocessing that the bundle asks for. `convert` says when an image of another mode becomes RGB.
PreprocessOptions preprocess_options(const BundleImage& image, ConvertOrder convert = ConvertOrder::kFirst);

/// Loads a bundle's tokenizer, after a check of its files' SHA-256.
Tokenizer load_tokenizer(const Bundle& bundle);

/// Token ids of the texts: i64[B, context_length] on the CPU.
at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> texts);

/// Normalises B squares of interleaved RGB bytes (from `resize_and_crop`): f32[B, 3, size, size] on the CPU.
at::Tensor pixel_tensor(std::span<const std::uint8_t> pixels, const PreprocessOptions& options);

/// Writes the square of image number `image` of a batch: `resize_and_crop` of its bytes.
using ReadSquare = std::function<void(std::size_t image, std::span<std::uint8_t> out)>;

/// Reads `count` images with `workers` threads and normalises them. Returns f32[rows, 3, size, size] on the
/// CPU; rows after the images are zero. Throws the error of the first image that cannot be used.
at::Tensor read_pixel_tensor(std::int64_t count, std::int64_t rows, const PreprocessOptions& options,
                             std::int64_t workers, const ReadSquare& read);

/// Does the same for image files. Throws `Error(kInput)` that names a file that is not an image.
at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options);

}  // namespace sdsclip

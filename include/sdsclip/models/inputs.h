#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// The preprocessing that the bundle asks for.
PreprocessOptions preprocess_options(const BundleImage& image);

/// Loads a bundle's tokenizer, after a check of its files' SHA-256.
Tokenizer load_tokenizer(const Bundle& bundle);

/// Token ids of the texts: i64[B, context_length] on the CPU.
at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> texts);

/// Normalises B squares of interleaved RGB bytes (from `resize_and_crop`): f32[B, 3, size, size] on the CPU.
at::Tensor pixel_tensor(std::span<const std::uint8_t> pixels, const PreprocessOptions& options);

/// Reads, resizes and normalises image files. Throws `Error(kInput)` that names a file that is not an image.
at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options);

}  // namespace sdsclip

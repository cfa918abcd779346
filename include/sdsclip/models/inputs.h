#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// How the bundle's model wants its images.
PreprocessOptions preprocess_options(const BundleImage& image);

/// The tokenizer of a bundle, from its files (whose SHA-256 is checked first).
Tokenizer load_tokenizer(const Bundle& bundle);

/// i64[B, context_length] on the CPU.
at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> texts);

/// Normalised floats f32[B, 3, size, size] on the CPU, from B squares of interleaved RGB bytes
/// (`resize_and_crop`).
at::Tensor pixel_tensor(std::span<const std::uint8_t> pixels, const PreprocessOptions& options);

/// The same from image files. Throws `Error(kInput)` that names the file that is none.
at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <span>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/data/image.h"
#include "sdsclip/data/preprocess.h"

namespace sdsclip {

/// The pixels of a benchmark's image before preprocessing: reads its part of the file, decodes or reorders
/// it, and crops it. Several threads may call it at once. Throws `Error(kInput)` that names the file or the
/// image if the file is missing, truncated or not an image.
Image read_benchmark_image(const BenchmarkImage& image);

/// Reads an image and makes it a square of interleaved RGB bytes, by `resize_and_crop`. `options.convert`
/// applies only to images without a crop: a crop is cut from RGB, as ARO's code does.
void read_square(const BenchmarkImage& image, const PreprocessOptions& options, std::span<std::uint8_t> out);

}  // namespace sdsclip

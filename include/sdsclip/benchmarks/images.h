#pragma once

#include <span>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/data/image.h"
#include "sdsclip/data/preprocess.h"

namespace sdsclip {

/// The pixels of a benchmark's image, before preprocessing: its part of the file is read, decoded (or, for
/// bare pixels, put in order), and cropped. Safe to call from several threads. Throws `Error(kInput)` that
/// names the file or the image where the file is missing, cut short or no image.
Image read_benchmark_image(const BenchmarkImage& image);

/// The same preprocessed: float [3, size, size] (data/preprocess.h). `options.convert` applies to images
/// without a crop: a crop is cut from RGB, as ARO does.
void read_preprocessed(const BenchmarkImage& image, const PreprocessOptions& options, std::span<float> out);

}  // namespace sdsclip

#pragma once

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/data/image.h"

namespace sdsclip {

/// The pixels of a benchmark's image, before preprocessing: its part of the file is read, decoded (or, for
/// bare pixels, put in order), and cropped. Safe to call from several threads. Throws `Error(kInput)` that
/// names the file or the image where the file is missing, cut short or no image.
Image read_benchmark_image(const BenchmarkImage& image);

}  // namespace sdsclip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {

/// The given units of a table's images, which must outlive the result; see `PixelUnits`.
PixelUnits image_units(std::span<const BenchmarkImage> images, std::vector<std::int64_t> units,
                       std::int64_t size, const PreprocessOptions& options, std::int64_t workers,
                       c10::Device device);

/// Token ids of texts, i64[size, context_length]; rows after the end are zero.
at::Tensor tokenize_unit(const Tokenizer& tokenizer, std::span<const std::string> texts, std::int64_t first,
                         std::int64_t size);

}  // namespace sdsclip

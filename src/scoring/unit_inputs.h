#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <future>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"

namespace sdsclip {

/// Images `first` to `first + size - 1` of the table, f32[size, 3, S, S]; rows after the table's end are
/// zero. `workers` threads decode them. Throws the error of the first image that cannot be used.
at::Tensor decode_unit(std::span<const BenchmarkImage> images, std::int64_t first, std::int64_t size,
                       const PreprocessOptions& options, std::int64_t workers);

/// The pixels of units of images in the given order. The next unit is decoded while the current one is used.
class DecodeAhead {
 public:
  /// `images` must outlive this. Unit u starts at row `u * size`.
  DecodeAhead(std::span<const BenchmarkImage> images, std::vector<std::int64_t> units, std::int64_t size,
              const PreprocessOptions& options, std::int64_t workers);
  /// `decode_unit` of the next unit. Call it at most once per unit.
  at::Tensor next();

 private:
  void start();

  std::span<const BenchmarkImage> images_;
  std::vector<std::int64_t> units_;
  std::int64_t size_;
  PreprocessOptions options_;
  std::int64_t workers_;
  std::size_t started_ = 0;
  std::future<at::Tensor> ahead_;
};

/// Token ids of texts, i64[size, context_length]; rows after the end are zero.
at::Tensor tokenize_unit(const Tokenizer& tokenizer, std::span<const std::string> texts, std::int64_t first,
                         std::int64_t size);

}  // namespace sdsclip

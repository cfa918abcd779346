#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <future>
#include <list>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"

// Work is divided into units of one shape that depends on the case table alone, so that no bit of a result
// depends on where a run was interrupted.
namespace sdsclip {

struct UnitShape {
  std::int64_t units = 0;
  std::int64_t size = 0;  ///< rows per unit; the last unit is padded
};

/// The fewest units of at most `at_most` rows that hold `count` rows, with the smallest possible size.
UnitShape even_units(std::int64_t count, std::int64_t at_most);

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

/// Rows of a tensor that is computed unit by unit on demand and kept while there is room; the least recently
/// used units are dropped first. A dropped unit is computed again in the same shape, so it has the same bits.
class UnitCache {
 public:
  using Encode = std::function<at::Tensor(std::int64_t first, std::int64_t size)>;
  UnitCache(Encode encode, std::int64_t unit_size, std::int64_t capacity_bytes);

  /// Row `row` without the batch dimension.
  at::Tensor row(std::int64_t row);

 private:
  struct Entry {
    std::int64_t unit = 0;
    at::Tensor rows;
  };
  Encode encode_;
  std::int64_t unit_size_;
  std::int64_t capacity_bytes_;
  std::int64_t bytes_ = 0;
  std::list<Entry> by_use_;  // most recently used first
  std::unordered_map<std::int64_t, std::list<Entry>::iterator> find_;
};

}  // namespace sdsclip

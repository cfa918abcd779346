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

// Work is cut into units of one shape, which the case table alone defines, so that no bit of a result depends
// on how far a run had come when it was interrupted.
namespace sdsclip {

struct UnitShape {
  std::int64_t units = 0;
  std::int64_t size = 0;  ///< rows of each; the last ones are padding where they are more than there is
};

/// The fewest units of at most `at_most` rows that hold `count` rows, and then the smallest size that does.
UnitShape even_units(std::int64_t count, std::int64_t at_most);

/// Images `first` to `first + size - 1` of the table, f32[size, 3, S, S]; rows behind its end are zero.
/// Decoded by `workers` threads. Throws what the first image that cannot be used throws.
at::Tensor decode_unit(std::span<const BenchmarkImage> images, std::int64_t first, std::int64_t size,
                       const PreprocessOptions& options, std::int64_t workers);

/// The pixels of units of images in the given order, each decoded while the one before is used.
class DecodeAhead {
 public:
  /// `images` must outlive this. Units are numbers: unit u starts at row `u * size`.
  DecodeAhead(std::span<const BenchmarkImage> images, std::vector<std::int64_t> units, std::int64_t size,
              const PreprocessOptions& options, std::int64_t workers);
  /// As `decode_unit` of the next unit. To be called once a unit at most.
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

/// Ids of texts, i64[size, context_length]; rows behind their end are zero.
at::Tensor tokenize_unit(const Tokenizer& tokenizer, std::span<const std::string> texts, std::int64_t first,
                         std::int64_t size);

/// Rows of a tensor that is computed a unit at a time on demand and kept while there is room: the units that
/// were not used for longest go first. A unit that comes back is computed in the same shape again, hence to
/// the same bits.
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
  std::list<Entry> by_use_;  // the last used first
  std::unordered_map<std::int64_t, std::list<Entry>::iterator> find_;
};

}  // namespace sdsclip

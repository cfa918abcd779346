#include "unit_inputs.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sdsclip/benchmarks/images.h"
#include "sdsclip/models/inputs.h"

namespace sdsclip {
namespace {

/// The number of rows from `first` on, at most `size`.
std::int64_t rows_there(std::size_t total, std::int64_t first, std::int64_t size) {
  return std::clamp(static_cast<std::int64_t>(total) - first, std::int64_t{0}, size);
}

}  // namespace

at::Tensor decode_unit(std::span<const BenchmarkImage> images, std::int64_t first, std::int64_t size,
                       const PreprocessOptions& options, std::int64_t workers) {
  const std::int64_t count = rows_there(images.size(), first, size);
  return read_pixel_tensor(count, size, options, workers, [&](std::size_t i, std::span<std::uint8_t> out) {
    read_square(images[static_cast<std::size_t>(first) + i], options, out);
  });
}

DecodeAhead::DecodeAhead(std::span<const BenchmarkImage> images, std::vector<std::int64_t> units,
                         std::int64_t size, const PreprocessOptions& options, std::int64_t workers)
    : images_(images), units_(std::move(units)), size_(size), options_(options), workers_(workers) {
  start();
}

void DecodeAhead::start() {
  if (started_ == units_.size()) return;
  const std::int64_t first = units_[started_++] * size_;
  ahead_ = std::async(std::launch::async,
                      [this, first] { return decode_unit(images_, first, size_, options_, workers_); });
}

at::Tensor DecodeAhead::next() {
  at::Tensor pixels = ahead_.get();
  start();
  return pixels;
}

at::Tensor tokenize_unit(const Tokenizer& tokenizer, std::span<const std::string> texts, std::int64_t first,
                         std::int64_t size) {
  const std::int64_t count = rows_there(texts.size(), first, size);
  at::Tensor ids = at::zeros({size, tokenizer.options().context_length}, at::kLong);
  ids.narrow(0, 0, count)
      .copy_(tokenize(tokenizer,
                      texts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))));
  return ids;
}

}  // namespace sdsclip

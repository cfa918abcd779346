#include "unit_inputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "sdsclip/benchmarks/images.h"

namespace sdsclip {

PixelUnits image_units(std::span<const BenchmarkImage> images, std::vector<std::int64_t> units,
                       std::int64_t size, const PreprocessOptions& options, std::int64_t workers,
                       c10::Device device) {
  return PixelUnits(static_cast<std::int64_t>(images.size()), std::move(units), size, options, workers,
                    device, [images, options](std::size_t image, std::span<std::uint8_t> out) {
                      read_square(images[image], options, out);
                    });
}

at::Tensor tokenize_unit(const Tokenizer& tokenizer, std::span<const std::string> texts, std::int64_t first,
                         std::int64_t size) {
  const std::int64_t count =
      std::clamp(static_cast<std::int64_t>(texts.size()) - first, std::int64_t{0}, size);
  at::Tensor ids = at::zeros({size, tokenizer.options().context_length}, at::kLong);
  ids.narrow(0, 0, count)
      .copy_(tokenize(tokenizer,
                      texts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))));
  return ids;
}

}  // namespace sdsclip

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/work_ahead.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// The preprocessing that the bundle asks for. `convert` says when an image of another mode becomes RGB.
PreprocessOptions preprocess_options(const BundleImage& image, ConvertOrder convert = ConvertOrder::kFirst);

/// Loads a bundle's tokenizer, after a check of its files' SHA-256.
Tokenizer load_tokenizer(const Bundle& bundle);

/// Token ids of the texts: i64[B, context_length] on the CPU.
at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> texts);

/// Normalises B squares of interleaved RGB bytes (from `resize_and_crop`): f32[B, 3, size, size] on the CPU.
at::Tensor pixel_tensor(std::span<const std::uint8_t> pixels, const PreprocessOptions& options);

/// Writes the square of image number `image`: `resize_and_crop` of its bytes.
using ReadSquare = std::function<void(std::size_t image, std::span<std::uint8_t> out)>;

/// Images as network input: f32[size, 3, S, S] per unit, read on other threads while earlier units are in use.
class PixelUnits {
 public:
  /// Unit u is the images `u * size` to `u * size + size - 1` of `count`; rows after the last image are zero.
  /// `units` are ascending. `workers` threads read; 0: one per core. What `read` uses must outlive this.
  PixelUnits(std::int64_t count, std::vector<std::int64_t> units, std::int64_t size,
             const PreprocessOptions& options, std::int64_t workers, c10::Device device, ReadSquare read);

  /// The next unit, on the CPU; page-locked if `device` is a GPU, so that its copy need not wait. Throws the
  /// error of its first image that cannot be used. Call it at most once per unit.
  at::Tensor next();

 private:
  void read_image(std::size_t item);
  [[nodiscard]] std::int64_t rows_of(std::size_t place) const;
  void prepare_slot(std::size_t place);

  std::int64_t count_;
  std::vector<std::int64_t> units_;
  std::int64_t size_;
  PreprocessOptions options_;
  bool pinned_;
  ReadSquare read_;
  std::array<at::Tensor, 2> slots_;  // the unit at place p of `units_` is made in slot p % 2
  std::size_t taken_ = 0;
  std::optional<WorkAhead> ahead_;  // item i is row i % size of the unit at place i / size
};

/// Files as one unit. Throws `Error(kInput)` that names a file that is not an image.
at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options);

/// The square of an image file, for `PixelUnits`.
void read_file_square(const std::string& file, const PreprocessOptions& options, std::span<std::uint8_t> out);

}  // namespace sdsclip

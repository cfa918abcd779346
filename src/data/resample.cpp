#include "resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

// Pillow's `Resample.c` for 8-bit RGB. Both passes come down to one inner loop: a weighted sum of bytes that lie a
// fixed distance apart, for sixteen neighbours at once. In the vertical pass the neighbours are the bytes of a row.
// For the horizontal pass sixteen rows at a time are transposed first, so that the neighbours are the rows.

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define SDSCLIP_FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define SDSCLIP_FOR_EACH_CPU
#endif

namespace sdsclip {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // of a weight: 8 bits are the pixel's, 2 keep sums from overflowing
constexpr double kBicubicSupport = 2.0;
constexpr int kLanes = 16;

using ByteLanes = std::uint8_t __attribute__((vector_size(kLanes)));
using SumLanes = std::int32_t __attribute__((vector_size(kLanes * 4)));

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

/// The input pixels that an output pixel is the weighted sum of.
struct Taps {
  int first = 0;
  int count = 0;
  std::size_t weights = 0;  // where its weights start in `Axis::weights`
};

/// One direction of a resize, for the outputs that are wanted.
struct Axis {
  std::vector<Taps> taps;
  std::vector<std::int32_t> weights;  // fixed point, kPrecisionBits after the point

  /// Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`, in the same order of operations.
  Axis(int input_size, int output_size, int first_output, int outputs) {
    const double scale = static_cast<double>(input_size) / output_size;
    const double filter_scale = std::max(scale, 1.0);
    const double support = kBicubicSupport * filter_scale;
    const double inverse_filter_scale = 1.0 / filter_scale;
    std::vector<double> raw;
    for (int output = first_output; output < first_output + outputs; ++output) {
      const double center = (output + 0.5) * scale;
      const int first = std::max(0, static_cast<int>(center - support + 0.5));
      const int end = std::min(input_size, static_cast<int>(center + support + 0.5));
      raw.clear();
      double total = 0;
      for (int x = 0; x < end - first; ++x) {
        raw.push_back(bicubic((x + first - center + 0.5) * inverse_filter_scale));
        total += raw.back();
      }
      taps.push_back({first, end - first, weights.size()});
      for (double weight : raw) {
        if (total != 0.0) weight /= total;
        const double fixed = weight * (1 << kPrecisionBits);
        weights.push_back(static_cast<std::int32_t>(fixed + (fixed < 0 ? -0.5 : 0.5)));
      }
    }
  }

  [[nodiscard]] int first_input() const { return taps.front().first; }
  [[nodiscard]] int input_end() const { return taps.back().first + taps.back().count; }
};

/// `out[i] = clip8(sum over t of weights[t] * source[t * stride + i])` for sixteen `i`.
inline __attribute__((always_inline)) void weighted_sum(const std::uint8_t* source, std::size_t stride,
                                                        const std::int32_t* weights, int count,
                                                        std::uint8_t* out) {
  SumLanes sum = SumLanes{} + (1 << (kPrecisionBits - 1));
  for (int t = 0; t < count; ++t, source += stride) {
    ByteLanes bytes;
    std::memcpy(&bytes, source, kLanes);
    sum += __builtin_convertvector(bytes, SumLanes) * weights[t];
  }
  sum >>= kPrecisionBits;
  sum = sum < 0 ? 0 : sum;
  sum = sum > 255 ? 255 : sum;
  const ByteLanes bytes = __builtin_convertvector(sum, ByteLanes);
  std::memcpy(out, &bytes, kLanes);
}

/// Byte columns [first_column, first_column + columns) of up to sixteen rows, each column's bytes side by side.
void transpose_rows(const Image& image, int first_row, int rows, std::size_t first_column, std::size_t columns,
                    std::uint8_t* out) {
  for (int row = 0; row < rows; ++row) {
    const std::uint8_t* source = image.row(first_row + row) + first_column;
    for (std::size_t column = 0; column < columns; ++column) out[column * kLanes + row] = source[column];
  }
}

/// Resizes rows [first_row, first_row + rows) of `image` in width; a row of `out` has `out_stride` bytes.
SDSCLIP_FOR_EACH_CPU
void resize_width(const Image& image, const Axis& axis, int first_row, int rows, std::uint8_t* out,
                  std::size_t out_stride) {
  const std::size_t first_column = static_cast<std::size_t>(axis.first_input()) * 3;
  const std::size_t columns = static_cast<std::size_t>(axis.input_end()) * 3 - first_column;
  std::vector<std::uint8_t> tile(columns * kLanes);
  std::uint8_t sums[kLanes];
  for (int block = 0; block < rows; block += kLanes) {
    const int block_rows = std::min(kLanes, rows - block);
    transpose_rows(image, first_row + block, block_rows, first_column, columns, tile.data());
    for (std::size_t x = 0; x < axis.taps.size(); ++x) {
      const Taps& taps = axis.taps[x];
      for (std::size_t channel = 0; channel < 3; ++channel) {
        const std::size_t column = static_cast<std::size_t>(taps.first) * 3 + channel - first_column;
        weighted_sum(tile.data() + column * kLanes, std::size_t{3} * kLanes, axis.weights.data() + taps.weights,
                     taps.count, sums);
        for (int row = 0; row < block_rows; ++row) {
          out[static_cast<std::size_t>(block + row) * out_stride + x * 3 + channel] = sums[row];
        }
      }
    }
  }
}

/// Resizes in height. `rows` starts at input row `first_row`; its `stride` is a multiple of kLanes.
SDSCLIP_FOR_EACH_CPU
void resize_height(const std::uint8_t* rows, std::size_t stride, int first_row, const Axis& axis,
                   std::size_t row_bytes, std::uint8_t* out) {
  std::vector<std::uint8_t> line(stride);
  for (const Taps& taps : axis.taps) {
    const std::uint8_t* source = rows + static_cast<std::size_t>(taps.first - first_row) * stride;
    for (std::size_t x = 0; x < stride; x += kLanes) {
      weighted_sum(source + x, stride, axis.weights.data() + taps.weights, taps.count, line.data() + x);
    }
    std::memcpy(out, line.data(), row_bytes);
    out += row_bytes;
  }
}

}  // namespace

void resample_window(const Image& image, int width, int height, const Window& window, std::uint8_t* out) {
  const Axis vertical(image.height, height, window.y, window.height);
  const bool keeps_height = image.height == height;
  const int first_row = keeps_height ? window.y : vertical.first_input();
  const int rows = keeps_height ? window.height : vertical.input_end() - first_row;

  const std::size_t row_bytes = static_cast<std::size_t>(window.width) * 3;
  const std::size_t stride = (row_bytes + kLanes - 1) / kLanes * kLanes;
  std::vector<std::uint8_t> narrowed(stride * static_cast<std::size_t>(rows));
  if (image.width == width) {
    for (int row = 0; row < rows; ++row) {
      std::memcpy(narrowed.data() + static_cast<std::size_t>(row) * stride,
                  image.row(first_row + row) + static_cast<std::size_t>(window.x) * 3, row_bytes);
    }
  } else {
    const Axis horizontal(image.width, width, window.x, window.width);
    resize_width(image, horizontal, first_row, rows, narrowed.data(), stride);
  }

  if (!keeps_height) return resize_height(narrowed.data(), stride, first_row, vertical, row_bytes, out);
  for (int row = 0; row < rows; ++row) {
    std::memcpy(out + static_cast<std::size_t>(row) * row_bytes,
                narrowed.data() + static_cast<std::size_t>(row) * stride, row_bytes);
  }
}

}  // namespace sdsclip

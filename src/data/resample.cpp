#include "resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

// Pillow's `Resample.c` for 8-bit RGB. Both passes use one loop: a weighted sum of rows of bytes, element by
// element, which the compiler vectorizes. In the vertical pass the rows are those of the image. In the
// horizontal pass kTileRows rows at a time are transposed first, so that a "row" is a column of pixels.

// The loops are also compiled for processors with AVX2, and the program selects a version when it starts.
// (Sanitizers are not ready by then.)
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define SDSCLIP_FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define SDSCLIP_FOR_EACH_CPU
#endif

namespace sdsclip {
namespace {

constexpr int kPrecisionBits =
    32 - 8 - 2;  // bits of a weight: the pixel takes 8, and 2 keep sums from overflowing
constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);  // so that the shift rounds to nearest
constexpr std::size_t kTileRows = 32;

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double triangle(double x) {
  return std::max(0.0, 1.0 - std::abs(x));
}

/// A weight as a function of the distance in input pixels of an enlarged image, and the distance at which it
/// becomes 0.
struct Filter {
  double (*weight)(double);
  double support;
};

Filter filter_of(Interpolation interpolation) {
  return interpolation == Interpolation::kBilinear ? Filter{triangle, 1.0} : Filter{bicubic, 2.0};
}

/// The weights of one output in doubles: Pillow's `precompute_coeffs`, in the same order of operations.
struct ExactTaps {
  int first = 0;  // input pixel
  std::vector<double> weights;
};

ExactTaps exact_taps(int input_size, int output_size, int output, const Filter& filter) {
  const double scale = static_cast<double>(input_size) / output_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  const double inverse_filter_scale = 1.0 / filter_scale;
  const double center = (output + 0.5) * scale;
  ExactTaps taps{std::max(0, static_cast<int>(center - support + 0.5)), {}};
  const int end = std::min(input_size, static_cast<int>(center + support + 0.5));
  double total = 0;
  for (int x = taps.first; x < end; ++x) {
    taps.weights.push_back(filter.weight((x - center + 0.5) * inverse_filter_scale));
    total += taps.weights.back();
  }
  for (double& weight : taps.weights) weight = total != 0.0 ? weight / total : weight;
  return taps;
}

/// The input pixels whose weighted sum is one output pixel.
struct Taps {
  int first = 0;
  std::size_t count = 0;
  std::size_t weights = 0;  // index of its first weight in `Axis::weights`
};

/// One direction of a resize of bytes, for the requested outputs.
struct Axis {
  std::vector<Taps> taps;
  std::vector<std::int32_t> weights;  // fixed point, kPrecisionBits after the point

  /// Pillow's `normalize_coeffs_8bpc`.
  Axis(int input_size, int output_size, int first_output, int outputs, const Filter& filter) {
    for (int output = first_output; output < first_output + outputs; ++output) {
      const ExactTaps exact = exact_taps(input_size, output_size, output, filter);
      taps.push_back({exact.first, exact.weights.size(), weights.size()});
      for (const double weight : exact.weights) {
        const double fixed = weight * (1 << kPrecisionBits);
        weights.push_back(static_cast<std::int32_t>(fixed + (fixed < 0 ? -0.5 : 0.5)));
      }
    }
  }

  [[nodiscard]] int first_input() const { return taps.front().first; }
  [[nodiscard]] int input_end() const { return taps.back().first + static_cast<int>(taps.back().count); }
};

/// `sums[i] += weight * row[i]`
inline void add_weighted(const std::uint8_t* __restrict row, std::int32_t weight, std::size_t count,
                         std::int32_t* __restrict sums) {
  for (std::size_t i = 0; i < count; ++i) sums[i] += weight * row[i];
}

/// Rounds fixed-point sums to bytes; the sums already include the rounding half.
inline void to_bytes(const std::int32_t* __restrict sums, std::size_t count, std::uint8_t* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t value = sums[i] >> kPrecisionBits;
    out[i] = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
  }
}

/// Transposes eight rows of eight bytes, each in one word (Warren, "Hacker's Delight", 7-3): blocks of four,
/// two and one bytes are swapped across the diagonal.
inline void transpose_block(std::array<std::uint64_t, 8>& rows) {
  constexpr std::array<std::uint64_t, 3> kMasks = {0x00000000FFFFFFFF, 0x0000FFFF0000FFFF,
                                                   0x00FF00FF00FF00FF};
  std::size_t distance = 4;
  for (const std::uint64_t mask : kMasks) {
    for (std::size_t i = 0; i < 8; ++i) {
      if ((i & distance) != 0) continue;
      const std::uint64_t swapped = ((rows[i] >> (8 * distance)) ^ rows[i + distance]) & mask;
      rows[i + distance] ^= swapped;
      rows[i] ^= swapped << (8 * distance);
    }
    distance /= 2;
  }
}

/// `out[column][row] = source[row][column]`, of bytes.
void transpose(const std::uint8_t* source, std::size_t stride, std::size_t rows, std::size_t columns,
               std::uint8_t* out, std::size_t out_stride) {
  const std::size_t whole_rows = rows - rows % 8;
  const std::size_t whole_columns = columns - columns % 8;
  for (std::size_t row = 0; row < whole_rows; row += 8) {
    for (std::size_t column = 0; column < whole_columns; column += 8) {
      std::array<std::uint64_t, 8> block;
      for (std::size_t i = 0; i < 8; ++i) std::memcpy(&block[i], source + (row + i) * stride + column, 8);
      transpose_block(block);
      for (std::size_t i = 0; i < 8; ++i) std::memcpy(out + (column + i) * out_stride + row, &block[i], 8);
    }
  }
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = row < whole_rows ? whole_columns : 0; column < columns; ++column) {
      out[column * out_stride + row] = source[row * stride + column];
    }
  }
}

/// Resizes the width of `rows` rows. `source` is the pixel `axis.first_input()` of the first row.
SDSCLIP_FOR_EACH_CPU
void resize_width(const std::uint8_t* source, std::size_t stride, std::size_t rows, const Axis& axis,
                  std::uint8_t* out, std::size_t out_stride) {
  constexpr std::size_t kPixelBytes = 3 * kTileRows;  // a pixel of every row of the tile
  const std::size_t columns = static_cast<std::size_t>(axis.input_end() - axis.first_input()) * 3;
  const std::size_t out_columns = axis.taps.size() * 3;
  std::vector<std::uint8_t> tile(columns * kTileRows);
  std::vector<std::uint8_t> out_tile(out_columns * kTileRows);
  std::array<std::int32_t, kPixelBytes> sums;
  for (std::size_t first = 0; first < rows; first += kTileRows) {
    const std::size_t tile_rows = std::min(kTileRows, rows - first);
    transpose(source + first * stride, stride, tile_rows, columns, tile.data(), kTileRows);
    for (std::size_t x = 0; x < axis.taps.size(); ++x) {
      const Taps& taps = axis.taps[x];
      const std::uint8_t* pixel =
          tile.data() + static_cast<std::size_t>(taps.first - axis.first_input()) * kPixelBytes;
      sums.fill(kHalf);
      for (std::size_t t = 0; t < taps.count; ++t, pixel += kPixelBytes) {
        add_weighted(pixel, axis.weights[taps.weights + t], kPixelBytes, sums.data());
      }
      to_bytes(sums.data(), kPixelBytes, out_tile.data() + x * kPixelBytes);
    }
    transpose(out_tile.data(), kTileRows, out_columns, tile_rows, out + first * out_stride, out_stride);
  }
}

/// Resizes the height of `columns` bytes of each row. `source` is the row `axis.first_input()`.
SDSCLIP_FOR_EACH_CPU
void resize_height(const std::uint8_t* source, std::size_t stride, std::size_t columns, const Axis& axis,
                   std::uint8_t* out) {
  std::vector<std::int32_t> sums(columns);
  for (const Taps& taps : axis.taps) {
    const std::uint8_t* row = source + static_cast<std::size_t>(taps.first - axis.first_input()) * stride;
    std::fill(sums.begin(), sums.end(), kHalf);
    for (std::size_t t = 0; t < taps.count; ++t, row += stride) {
      add_weighted(row, axis.weights[taps.weights + t], columns, sums.data());
    }
    to_bytes(sums.data(), columns, out);
    out += columns;
  }
}

/// The order of the passes changes the last bit, because pixels are rounded between them. Pillow 13 documents
/// no rule; this one reproduces it (measured on thousands of random sizes; older versions always resize the
/// width first).
bool height_first(const Image& image, int width, int height) {
  return height < image.height && 2 * (std::int64_t{image.width} - width) < image.height - height;
}

/// The input pixel of each output. Like Pillow's `ImagingScaleAffine`, it adds up the step, to get the same
/// rounding.
std::vector<std::size_t> nearest_inputs(int input_size, int output_size, int first_output, int outputs) {
  const double step = static_cast<double>(input_size) / output_size;
  std::vector<std::size_t> inputs;
  double place = step * 0.5;
  for (int output = 0; output < first_output + outputs; ++output, place += step) {
    if (output >= first_output)
      inputs.push_back(static_cast<std::size_t>(std::min(static_cast<int>(place), input_size - 1)));
  }
  return inputs;
}

/// A plane of 16-bit samples, row after row.
struct Plane {
  int width = 0;
  int height = 0;
  std::vector<std::uint16_t> samples;
};

/// Pillow stores a sum of weighted 16-bit samples byte by byte and clips each byte separately.
std::uint16_t to_two_bytes(double sum) {
  const int value = static_cast<int>(std::floor(sum + 0.5));
  const int low = std::clamp(value % 256, 0, 255);
  const int high = std::clamp(value >> 8, 0, 255);
  return static_cast<std::uint16_t>(high << 8 | low);
}

/// Resizes the width and rotates the result by 90 degrees, so that a second call resizes the height.
Plane resize_and_turn(const Plane& plane, int width, int first_output, int outputs, const Filter& filter) {
  Plane result{plane.height, outputs, {}};
  result.samples.resize(static_cast<std::size_t>(plane.height) * static_cast<std::size_t>(outputs));
  for (int x = 0; x < outputs; ++x) {
    const ExactTaps taps = exact_taps(plane.width, width, first_output + x, filter);
    for (int y = 0; y < plane.height; ++y) {
      const std::uint16_t* source = plane.samples.data() +
                                    static_cast<std::size_t>(y) * static_cast<std::size_t>(plane.width) +
                                    taps.first;
      double sum = 0;
      for (std::size_t t = 0; t < taps.weights.size(); ++t) sum += source[t] * taps.weights[t];
      result.samples[static_cast<std::size_t>(x) * static_cast<std::size_t>(plane.height) +
                     static_cast<std::size_t>(y)] = to_two_bytes(sum);
    }
  }
  return result;
}

}  // namespace

Image nearest_window(const Image& image, int width, int height, const Window& window) {
  const std::vector<std::size_t> columns = nearest_inputs(image.width, width, window.x, window.width);
  const std::vector<std::size_t> rows = nearest_inputs(image.height, height, window.y, window.height);
  Image result{window.width, window.height, {}};
  result.pixels.reserve(columns.size() * rows.size() * 3);
  for (const std::size_t y : rows) {
    for (const std::size_t x : columns) {
      const std::uint8_t* pixel = image.row(static_cast<int>(y)) + x * 3;
      result.pixels.insert(result.pixels.end(), pixel, pixel + 3);
    }
  }
  return result;
}

std::vector<std::uint8_t> resample_grey16(const StoredImage& image, int width, int height,
                                          const Window& window, Interpolation interpolation) {
  Plane plane{image.colour.width, image.colour.height, std::vector<std::uint16_t>(image.fourth.size() / 2)};
  std::memcpy(plane.samples.data(), image.fourth.data(), image.fourth.size());
  const Filter filter = filter_of(interpolation);
  plane = resize_and_turn(plane, width, window.x, window.width, filter);
  plane = resize_and_turn(plane, height, window.y, window.height, filter);
  std::vector<std::uint8_t> bytes(plane.samples.size() * 2);
  std::memcpy(bytes.data(), plane.samples.data(), bytes.size());
  return bytes;
}

void resample_window(const Image& image, int width, int height, const Window& window,
                     Interpolation interpolation, std::uint8_t* out) {
  const Filter filter = filter_of(interpolation);
  const Axis across(image.width, width, window.x, window.width, filter);
  const Axis down(image.height, height, window.y, window.height, filter);
  const std::size_t rows = static_cast<std::size_t>(down.input_end() - down.first_input());
  const std::size_t column_bytes = static_cast<std::size_t>(across.input_end() - across.first_input()) * 3;
  const std::uint8_t* source =
      image.row(down.first_input()) + static_cast<std::size_t>(across.first_input()) * 3;
  const std::size_t source_stride = static_cast<std::size_t>(image.width) * 3;

  const std::size_t window_rows = static_cast<std::size_t>(window.height);
  const std::size_t window_stride = static_cast<std::size_t>(window.width) * 3;
  if (height_first(image, width, height)) {
    std::vector<std::uint8_t> resized(column_bytes * window_rows);
    resize_height(source, source_stride, column_bytes, down, resized.data());
    resize_width(resized.data(), column_bytes, window_rows, across, out, window_stride);
  } else {
    std::vector<std::uint8_t> resized(window_stride * rows);
    resize_width(source, source_stride, rows, across, resized.data(), window_stride);
    resize_height(resized.data(), window_stride, window_stride, down, out);
  }
}

}  // namespace sdsclip

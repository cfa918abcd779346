#pragma once

#include <cstdint>
#include <string_view>

#include "sdsclip/base/error.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {

/// The place of a text in a file, in eight bytes, so that an index of millions of texts stays small.
class TextPlace {
 public:
  TextPlace() = default;
  /// Throws `Error(kInput)` beyond 1 TiB of file or 16 MiB of text; `name` names the file.
  TextPlace(std::uint64_t offset, std::uint64_t size, std::string_view name) {
    if (offset >= (std::uint64_t{1} << kOffsetBits) || size >= (std::uint64_t{1} << kSizeBits)) {
      throw input_error(
          "{}: got a record of {} bytes at byte {}, expected less than 16 MiB in a file below 1 TiB", name,
          size, offset);
    }
    packed_ = offset << kSizeBits | size;
  }

  [[nodiscard]] std::uint64_t offset() const { return packed_ >> kSizeBits; }
  [[nodiscard]] std::size_t size() const { return packed_ & ((std::uint64_t{1} << kSizeBits) - 1); }

 private:
  static constexpr unsigned int kOffsetBits = 40;
  static constexpr unsigned int kSizeBits = 24;
  static_assert(std::uint64_t{1} << kOffsetBits == kMostTextFileBytes);
  static_assert((std::uint64_t{1} << kSizeBits) - 1 == kMostRowBytes);
  std::uint64_t packed_ = 0;
};

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sdsclip {

/// The part of a tokenizer that depends on its kind; `Tokenizer` adds start, end and padding.
class TextEncoder {
 public:
  TextEncoder() = default;
  virtual ~TextEncoder() = default;
  TextEncoder(const TextEncoder&) = delete;
  TextEncoder& operator=(const TextEncoder&) = delete;

  /// Appends the ids of the UTF-8 text `text`.
  virtual void encode(std::string_view text, std::vector<std::int64_t>& ids) const = 0;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
};

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sdsclip {

/// What one kind of tokenizer does to a text; `Tokenizer` adds the ends and the padding.
class TextEncoder {
 public:
  TextEncoder() = default;
  virtual ~TextEncoder() = default;
  TextEncoder(const TextEncoder&) = delete;
  TextEncoder& operator=(const TextEncoder&) = delete;

  /// Appends the ids of `text`, UTF-8.
  virtual void encode(std::string_view text, std::vector<std::int64_t>& ids) const = 0;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
};

}  // namespace sdsclip

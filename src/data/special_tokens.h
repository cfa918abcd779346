#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// A token that transformers finds in a text before it cleans the text.
struct SpecialToken {
  std::u32string text;
  std::int64_t id = 0;
};

/// Calls `special(id)` for each of `tokens` in `text`, and `plain(part)` for what lies between, in the text's
/// order. At each place the first of `tokens` that fits is taken.
template <typename Plain, typename Special>
void cut_at_special_tokens(std::u32string_view text, const std::vector<SpecialToken>& tokens, Plain&& plain,
                           Special&& special) {
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto found = std::find_if(tokens.begin(), tokens.end(), [&](const SpecialToken& token) {
      return text.substr(at).starts_with(token.text);
    });
    if (found == tokens.end()) {
      ++at;
      continue;
    }
    plain(text.substr(start, at - start));
    special(found->id);
    at += found->text.size();
    start = at;
  }
  plain(text.substr(start));
}

}  // namespace sdsclip

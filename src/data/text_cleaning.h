#pragma once

#include <string>
#include <string_view>

namespace sdsclip {

/// ftfy 6.3.1's `fix_text` with its defaults, but without the repair of mojibake (`fix_encoding=False`), for
/// text that came as UTF-8 and so holds no surrogates.
std::u32string fix_text(std::u32string_view text);

/// open_clip 3.3.0's `_clean_lower`: `fix_text`, `html.unescape` twice, single spaces, lower case.
std::u32string clean_as_open_clip(const std::u32string& text);

/// open_clip 3.3.0's `_clean_whitespace`: the same without lower case.
std::u32string clean_whitespace(const std::u32string& text);

/// open_clip 3.3.0's `_clean_canonicalize`: `fix_text`, `html.unescape` twice, "_" becomes a space, no ASCII
/// punctuation, lower case, single spaces.
std::u32string canonicalize(const std::u32string& text);

/// transformers 5.24.0's normalizer of `CLIPTokenizer`: NFC, one space per run of white space, lower case of
/// each character on its own.
std::u32string clean_as_transformers(std::u32string text);

}  // namespace sdsclip

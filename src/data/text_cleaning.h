#pragma once

#include <string>
#include <string_view>

namespace sdsclip {

/// ftfy 6.3.1's `fix_text` with its defaults, short of undoing mojibake (`fix_encoding=False`), on text that
/// came as UTF-8 and so holds no surrogates.
std::u32string fix_text(std::u32string_view text);

/// open_clip 3.3.0's `_clean_lower`: `fix_text`, `html.unescape` twice, single spaces, lower case.
std::u32string clean_as_open_clip(const std::u32string& text);

/// open_clip 3.3.0's `_clean_whitespace`: the same with the case kept.
std::u32string clean_whitespace(const std::u32string& text);

/// open_clip 3.3.0's `_clean_canonicalize`: `fix_text`, `html.unescape` twice, "_" a space, no ASCII
/// punctuation, lower case, single spaces.
std::u32string canonicalize(const std::u32string& text);

/// transformers 5.24.0's normalizer of `CLIPTokenizer`: NFC, each run of white space a space, lower case of
/// each character by itself.
std::u32string clean_as_transformers(std::u32string text);

}  // namespace sdsclip

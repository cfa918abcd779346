#pragma once

#include <string>

namespace sdsclip {

/// Python's `html.unescape`. Like browsers, it takes the longest known prefix of a name without a semicolon.
std::u32string html_unescape(const std::u32string& text);

/// ftfy's stricter `unescape_html`: replaces only entities that end with a semicolon, and also names in
/// capitals ("&EACUTE;").
std::u32string unescape_clear_entities(std::u32string text);

}  // namespace sdsclip

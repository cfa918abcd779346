#pragma once

#include <string>
#include <string_view>

namespace sdsclip {

/// The text of an HTML entity, as in `html.entities.html5`. `name` has no ampersand, and a semicolon if the
/// entity has one. Empty if there is no such entity (no entity is empty).
std::string_view html5_entity(std::string_view name);

/// Python's `html.unescape`. Like browsers, it takes the longest known prefix of a name without a semicolon.
std::u32string html_unescape(const std::u32string& text);

/// ftfy's stricter `unescape_html`: replaces only entities that end with a semicolon, and also names in
/// capitals ("&EACUTE;").
std::u32string unescape_clear_entities(std::u32string text);

}  // namespace sdsclip

#pragma once

#include <string>
#include <string_view>

namespace sdsclip {

/// The text of an HTML entity as `html.entities.html5` has it, `name` without the ampersand and with its
/// semicolon if it has one. Empty where there is no such entity (no entity is empty).
std::string_view html5_entity(std::string_view name);

/// Python's `html.unescape`: as browsers do, with the longest known prefix of a name where the semicolon is
/// missing.
std::u32string html_unescape(const std::u32string& text);

/// ftfy's more careful `unescape_html`: only what ends with a semicolon, and besides names in capitals
/// ("&EACUTE;").
std::u32string unescape_clear_entities(std::u32string text);

}  // namespace sdsclip

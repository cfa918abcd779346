#include "html_entities.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>

#include "unicode.h"

namespace sdsclip {
namespace {

struct HtmlEntity {
  std::string_view name;
  std::string_view text;
};
#include "html_entities.inc"

/// The text of the entity `name`, which has no ampersand, and a semicolon if the entity has one. Empty if there
/// is no such entity (no entity is empty).
std::string_view find(std::span<const HtmlEntity> table, std::string_view name) {
  const auto at =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const HtmlEntity& entity, std::string_view key) { return entity.name < key; });
  return at != table.end() && at->name == name ? at->text : std::string_view();
}

bool is_digit(char32_t c) {
  return c >= U'0' && c <= U'9';
}
bool is_hexadecimal(char32_t c) {
  return is_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F');
}
bool is_ascii_letter(char32_t c) {
  return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}

std::size_t skip_while(std::u32string_view text, std::size_t at, std::size_t end, bool (*accept)(char32_t)) {
  while (at < end && accept(text[at])) ++at;
  return at;
}

/// Python's `_invalid_codepoints`: numbers that give no character.
bool is_invalid_reference(char32_t number) {
  const bool control = number < 0x20 && number != 0x09 && number != 0x0A && number != 0x0C;
  const bool no_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
  return control || number == 0x7F || no_character;
}

/// `digits` of a numeric reference, after "#" or "#x".
std::u32string referenced_character(std::u32string_view digits, unsigned int base) {
  char32_t number = 0;
  for (const char32_t digit : digits) {
    const char32_t value = is_digit(digit) ? digit - U'0' : (digit | 0x20) - U'a' + 10;
    number = std::min<char32_t>(number * base + value, 0x110000);  // stays too large once it is
  }
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) return U"\uFFFD";
  if (number >= 0x80 && number <= 0x9F) return {from_windows_1252(number)};
  if (number == 0x0D) return U"\r";
  return is_invalid_reference(number) ? U"" : std::u32string(1, number);
}

/// A reference at an ampersand: its end and its replacement.
struct Reference {
  std::size_t end = 0;
  std::u32string text;
};

/// "&#123;" or "&#x7b;" at `at`; the semicolon may be missing.
std::optional<Reference> numeric_reference(std::u32string_view text, std::size_t at) {
  std::size_t first = at + 2;
  const bool hexadecimal = first < text.size() && (text[first] | 0x20) == U'x';
  if (hexadecimal) ++first;
  const std::size_t end = skip_while(text, first, text.size(), hexadecimal ? is_hexadecimal : is_digit);
  if (end == first) return std::nullopt;
  const bool closed = end < text.size() && text[end] == U';';
  return Reference{end + (closed ? 1 : 0),
                   referenced_character(text.substr(first, end - first), hexadecimal ? 16 : 10)};
}

/// The entity name at `at`, or its longest prefix that is an entity name.
std::optional<Reference> named_reference(std::u32string_view text, std::size_t at) {
  constexpr std::size_t kLongestName = 32;
  const auto in_name = [](char32_t c) {
    return c != U'\t' && c != U'\n' && c != U'\f' && c != U' ' && c != U'<' && c != U'&' && c != U'#' &&
           c != U';';
  };
  const std::size_t limit = std::min(text.size(), at + 1 + kLongestName);
  std::size_t end = skip_while(text, at + 1, limit, in_name);
  if (end == at + 1) return std::nullopt;
  if (end < text.size() && text[end] == U';') ++end;
  // Names are ASCII and have two or more characters, so shorter or other prefixes cannot match.
  for (std::size_t stop = end; stop > at + 2; --stop) {
    const std::string_view found = find(kHtml5, to_utf8(text.substr(at + 1, stop - at - 1)));
    if (!found.empty()) return Reference{stop, to_code_points(found)};
  }
  return std::nullopt;
}

bool is_numeric(std::u32string_view text, std::size_t at) {
  return at + 1 < text.size() && text[at + 1] == U'#';
}

/// Replaces the reference that `resolve` finds at each ampersand.
template <typename Resolve>
std::u32string replace_references(const std::u32string& text, Resolve resolve) {
  if (text.find(U'&') == std::u32string::npos) return text;
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    std::optional<Reference> reference;
    if (text[at] == U'&') reference = resolve(std::u32string_view(text), at);
    if (reference) {
      result += reference->text;
      at = reference->end;
    } else {
      result.push_back(text[at++]);
    }
  }
  return result;
}

/// One match of ftfy's `&#?[0-9A-Za-z]{1,24};`, if it is a known entity.
std::optional<Reference> clear_reference(std::u32string_view text, std::size_t at) {
  constexpr std::size_t kLongestName = 24;
  const bool numeric = is_numeric(text, at);
  const std::size_t first = at + (numeric ? 2 : 1);
  const std::size_t limit = std::min(text.size(), first + kLongestName);
  const std::size_t end =
      skip_while(text, first, limit, [](char32_t c) { return is_digit(c) || is_ascii_letter(c); });
  if (end == first || end == text.size() || text[end] != U';') return std::nullopt;
  if (numeric) {
    std::optional<Reference> reference = numeric_reference(text, at);
    // Only a whole match counts: "&#12ab;" stays, and so does an entity for a semicolon.
    if (!reference || reference->end != end + 1 || reference->text == U";") return std::nullopt;
    return reference;
  }
  const std::string name = to_utf8(text.substr(first, end + 1 - first));
  std::string_view found = find(kHtml5, name);
  if (found.empty()) found = find(kUpperCase, name);
  if (found.empty()) return std::nullopt;
  return Reference{end + 1, to_code_points(found)};
}

}  // namespace

std::u32string html_unescape(const std::u32string& text) {
  return replace_references(text, [](std::u32string_view whole, std::size_t at) {
    return is_numeric(whole, at) ? numeric_reference(whole, at) : named_reference(whole, at);
  });
}

std::u32string unescape_clear_entities(std::u32string text) {
  if (text.find(U'&') == std::u32string::npos) return text;
  std::u32string result;
  result.reserve(text.size());
  bool made_here = false;  // whether the ampersand at `at` came from a reference
  for (std::size_t at = 0; at < text.size();) {
    std::optional<Reference> reference;
    if (text[at] == U'&') reference = clear_reference(text, at);
    if (reference && reference->text == U"&") {
      at = reference->end - 1;  // its semicolon
      text[at] = U'&';
      made_here = true;
      continue;
    }
    if (reference && !made_here) {
      result += reference->text;
      at = reference->end;
    } else {
      result.push_back(text[at++]);
    }
    made_here = false;
  }
  return result;
}

}  // namespace sdsclip

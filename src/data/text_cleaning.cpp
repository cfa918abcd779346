#include "text_cleaning.h"

#include <algorithm>
#include <utility>

#include "html_entities.h"
#include "sdsclip/base/error.h"
#include "unicode.h"

namespace sdsclip {
namespace {

constexpr std::size_t kLongestSegment = 1'000'000;  // ftfy's max_decode_length

// Nested entities take one pass each ("&#&#53;1;"). A text of 1 MiB may take 16 passes; most texts take two.
constexpr std::size_t kMostWork = std::size_t{1} << 24;

/// ftfy's LIGATURES and WIDTH_MAP, as form KC has them: ligatures and digraphs of Latin letters become letters,
/// full-width and half-width forms take their usual width.
std::u32string usual_form(char32_t c) {
  if (c == 0xFB05) return U"\u017Ft";  // ftfy keeps the long s
  const bool ligature = c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1C4 && c <= 0x1CC) ||
                        (c >= 0x1F1 && c <= 0x1F3) || (c >= 0xFB00 && c <= 0xFB06);
  const bool width = c == 0x3000 || (c >= 0xFF01 && c <= 0xFFEF);
  return ligature || width ? nfkc(c) : std::u32string(1, c);
}

char32_t straight_quote(char32_t character) {
  if (character == 0x2BC || (character >= 0x2018 && character <= 0x201B)) return U'\'';
  if (character >= 0x201C && character <= 0x201F) return U'"';
  return character;
}

/// ftfy's steps on single characters: C1 controls, ligatures, width, quotes. Each step works on the result of
/// the one before, at most two characters.
std::u32string fix_characters(const std::u32string& text) {
  std::u32string result;
  result.reserve(text.size());
  for (const char32_t character : text) {
    if (character < 0x80) {
      result.push_back(character);
      continue;
    }
    const std::u32string parts = usual_form(from_windows_1252(character));
    for (const char32_t part : parts) result.push_back(straight_quote(part));
  }
  return result;
}

std::u32string fix_line_breaks(const std::u32string& text) {
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t character = text[i];
    if (character == U'\r' && i + 1 < text.size() && text[i + 1] == U'\n') continue;
    const bool breaks = character == U'\r' || character == 0x2028 || character == 0x2029 || character == 0x85;
    result.push_back(breaks ? U'\n' : character);
  }
  return result;
}

/// The end of the ANSI escape sequence `ESC [ (digit | ;)* letter` at `at`, or `at` if there is none. As with
/// Python's `\d`, any decimal digit counts.
std::size_t skip_terminal_escape(std::u32string_view text, std::size_t at) {
  if (text[at] != U'\x1b' || at + 1 >= text.size() || text[at + 1] != U'[') return at;
  std::size_t end = at + 2;
  while (end < text.size() && (is_decimal_digit(text[end]) || text[end] == U';')) ++end;
  if (end == text.size()) return at;
  const char32_t last = text[end] | 0x20;
  return last >= U'a' && last <= U'z' && text[end] < 0x80 ? end + 1 : at;
}

std::u32string remove_terminal_escapes(const std::u32string& text) {
  if (text.find(U'\x1b') == std::u32string::npos) return text;
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = skip_terminal_escape(text, at);
    if (end == at) result.push_back(text[at++]);
    at = std::max(at, end);
  }
  return result;
}

/// ftfy's CONTROL_CHARS.
bool is_unwanted_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

/// ftfy's `fix_and_explain`: repeats the steps until nothing changes. `work` counts the characters processed
/// in all segments of a text.
std::u32string fix_segment(std::u32string text, bool unescape, std::size_t& work) {
  while (true) {
    work += text.size();
    if (work > kMostWork) {
      throw input_error("text: its HTML entities are nested too deep; shorten the text");
    }
    std::u32string fixed = unescape ? unescape_clear_entities(text) : text;
    fixed = remove_terminal_escapes(fix_line_breaks(fix_characters(fixed)));
    std::erase_if(fixed, is_unwanted_control);
    fixed = nfc(std::move(fixed));
    if (fixed == text) return fixed;
    text = std::move(fixed);
  }
}

/// Python's `" ".join(text.split())`.
std::u32string join_words(const std::u32string& text) {
  std::u32string result;
  result.reserve(text.size());
  bool gap = false;
  for (const char32_t character : text) {
    if (is_python_space(character)) {
      gap = true;
      continue;
    }
    if (gap && !result.empty()) result.push_back(U' ');
    gap = false;
    result.push_back(character);
  }
  return result;
}

}  // namespace

std::u32string fix_text(std::u32string_view text) {
  std::u32string result;
  std::size_t work = 0;
  bool unescape = true;
  while (!text.empty()) {
    const std::size_t line_end = text.find(U'\n');
    std::size_t size = line_end == std::u32string_view::npos ? text.size() : line_end + 1;
    size = std::min(size, kLongestSegment);
    const std::u32string_view segment = text.substr(0, size);
    // Like ftfy, take "<" as a sign of real HTML: entities stay from there on, also in later lines.
    if (segment.find(U'<') != std::u32string_view::npos) unescape = false;
    result += fix_segment(std::u32string(segment), unescape, work);
    text.remove_prefix(size);
  }
  return result;
}

std::u32string clean_whitespace(const std::u32string& text) {
  return join_words(html_unescape(html_unescape(fix_text(text))));
}

std::u32string clean_as_open_clip(const std::u32string& text) {
  return lower_text(clean_whitespace(text));
}

std::u32string canonicalize(const std::u32string& text) {
  std::u32string cleaned = html_unescape(html_unescape(fix_text(text)));
  std::replace(cleaned.begin(), cleaned.end(), U'_', U' ');
  std::erase_if(cleaned, is_ascii_punctuation);
  return join_words(lower_text(cleaned));
}

std::u32string clean_as_transformers(std::u32string text) {
  // tokenizers 0.23.3 normalizes with the tables of Unicode 9.0.
  const std::u32string composed = nfc_of_unicode_9(std::move(text));
  std::u32string spaced;
  spaced.reserve(composed.size());
  for (const char32_t character : composed) {
    if (!is_white_space(character)) {
      spaced.push_back(character);
    } else if (spaced.empty() || spaced.back() != U' ') {
      spaced.push_back(U' ');
    }
  }
  return lower_characters(spaced);
}

}  // namespace sdsclip

#include "text_lines.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <charconv>
#include <iterator>
#include <string_view>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

/// Without white space at both ends, which ICU and Python define alike.
std::string_view stripped(std::string_view text) {
  const std::uint8_t* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::int32_t start = 0;
  std::int32_t end = static_cast<std::int32_t>(text.size());
  UChar32 letter = 0;
  for (std::int32_t next = 0; next < end; start = next) {
    U8_NEXT(bytes, next, end, letter);
    if (letter < 0 || !u_isspace(letter)) break;
  }
  for (std::int32_t next = end; next > start; end = next) {
    U8_PREV(bytes, start, next, letter);
    if (letter < 0 || !u_isspace(letter)) break;
  }
  return text.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start));
}

struct LineBreak {
  std::size_t at = 0;
  std::size_t size = 0;  // 0: the text ends without a line break
};

/// The first line break that Python's `splitlines` recognizes.
LineBreak next_break(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\r' && text.substr(at + 1).starts_with('\n')) return {at, 2};
    if ((c >= '\n' && c <= '\r') || (c >= '\x1c' && c <= '\x1e')) return {at, 1};
    for (const std::string_view wide : {"\u0085", "\u2028", "\u2029"}) {
      if (text.substr(at).starts_with(wide)) return {at, wide.size()};
    }
  }
  return {text.size(), 0};
}

}  // namespace

void require_data_file(const fs::path& path, std::string_view benchmark) {
  if (is_there(path)) return;
  throw input_error("{}: no such file, expected one of {}'s; docs/datasets.md says how to prepare them",
                    path.string(), benchmark);
}

std::vector<TextLine> read_text_lines(const fs::path& path) {
  const std::string content = read_file(path);
  std::string_view rest = content;
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  std::vector<TextLine> lines;
  while (!rest.empty()) {
    const LineBreak end = next_break(rest);
    const std::int64_t number = std::ssize(lines) + 1;
    lines.push_back({.number = number, .text = std::string(stripped(rest.substr(0, end.at)))});
    if (!is_utf8(lines.back().text)) {
      throw input_error("{}: line {}: not UTF-8; save the file as UTF-8", path.string(), number);
    }
    rest.remove_prefix(end.at + end.size);
  }
  return lines;
}

std::int32_t parse_count(const std::string& text, const std::string& where) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  const std::string digits = first == std::string::npos ? "" : text.substr(first, last - first + 1);
  std::int32_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stopped_at, failure] = std::from_chars(digits.data(), end, number);
  if (failure != std::errc() || stopped_at != end || number < 0) {
    throw input_error("{}: got '{}', expected a whole number of 0 or more", where, digits);
  }
  return number;
}

}  // namespace sdsclip

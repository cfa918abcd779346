#include "text_lines.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

// Python's white space beyond ASCII, in UTF-8. The ASCII part is 9 to 13 and 28 to 32.
constexpr std::array<std::string_view, 19> kWideSpaces = {
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

bool is_space(char c) {
  return (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= ' ');
}

/// The number of bytes of white space at the start of `text`, or with `at_end` at its end.
std::size_t space_size(std::string_view text, bool at_end) {
  if (text.empty()) return 0;
  if (is_space(at_end ? text.back() : text.front())) return 1;
  for (const std::string_view space : kWideSpaces) {
    if (at_end ? text.ends_with(space) : text.starts_with(space)) return space.size();
  }
  return 0;
}

std::string_view stripped(std::string_view text) {
  while (const std::size_t size = space_size(text, false)) text.remove_prefix(size);
  while (const std::size_t size = space_size(text, true)) text.remove_suffix(size);
  return text;
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

// nlohmann's writer refuses invalid UTF-8, so it serves as a validator.
bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
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

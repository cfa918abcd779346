#include "text_lines.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"

namespace sdsclip {

// nlohmann's writer is strict about UTF-8, which makes it a validator.
bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

std::vector<TextLine> read_text_lines(const std::filesystem::path& path) {
  std::vector<TextLine> lines;
  std::int64_t number = 0;
  for (std::string& text : split(read_file(path), '\n')) {
    ++number;
    if (text.ends_with('\r')) text.pop_back();
    if (text.find_first_not_of(" \t") == std::string::npos) continue;
    if (!is_utf8(text)) {
      throw input_error("{}: line {}: not UTF-8; save the file as UTF-8", path.string(), number);
    }
    lines.push_back({.number = number, .text = std::move(text)});
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

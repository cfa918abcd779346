#include "text_list.h"

#include <charconv>

#include "sdsclip/base/error.h"
#include "unicode.h"

namespace sdsclip {
namespace {

/// Reads a Python list of string literals.
class ListParser {
 public:
  ListParser(std::string_view text, std::string_view where) : rest_(text), where_(where) {}

  std::vector<std::string> parse() {
    std::vector<std::string> texts;
    expect('[');
    skip_spaces();
    while (!rest_.starts_with(']')) {
      texts.push_back(literal());
      skip_spaces();
      if (!rest_.starts_with(',')) break;
      rest_.remove_prefix(1);
      skip_spaces();
    }
    expect(']');
    skip_spaces();
    if (!rest_.empty()) throw malformed();
    return texts;
  }

 private:
  [[nodiscard]] Error malformed() const {
    return input_error(
        "{}: got a list that does not parse at '{}', expected texts in quotes, such as ['a', 'b']", where_,
        rest_.substr(0, 20));
  }
  void skip_spaces() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t'))
      rest_.remove_prefix(1);
  }
  void expect(char character) {
    if (!rest_.starts_with(character)) throw malformed();
    rest_.remove_prefix(1);
  }

  std::string literal() {
    if (!rest_.starts_with('\'') && !rest_.starts_with('"')) throw malformed();
    const char quote = rest_[0];
    rest_.remove_prefix(1);
    std::string text;
    while (!rest_.empty() && rest_[0] != quote) {
      if (rest_[0] == '\\') {
        text += escape();
      } else {
        text.push_back(rest_[0]);
        rest_.remove_prefix(1);
      }
    }
    expect(quote);
    return text;
  }

  /// The escapes that Python's `repr` writes.
  std::string escape() {
    if (rest_.size() < 2) throw malformed();
    const char kind = rest_[1];
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits > 0) return numbered(digits);
    rest_.remove_prefix(2);
    constexpr std::string_view kLetters = "ntr\\'\"";
    constexpr std::string_view kMeanings = "\n\t\r\\'\"";
    const std::size_t known = kLetters.find(kind);
    if (known == std::string_view::npos) return {'\\', kind};  // Python keeps unknown escapes
    return {kMeanings[known]};
  }

  /// A character by its number, from the hexadecimal `digits` after "\x".
  std::string numbered(std::size_t digits) {
    const std::string_view number = rest_.substr(2, digits);
    std::uint32_t value = 0;
    const auto [end, failure] = std::from_chars(number.data(), number.data() + number.size(), value, 16);
    const bool whole =
        number.size() == digits && end == number.data() + number.size() && failure == std::errc();
    if (!whole || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) throw malformed();
    rest_.remove_prefix(2 + digits);
    const char32_t character = value;
    return to_utf8({&character, 1});
  }

  std::string_view rest_;
  std::string_view where_;
};

}  // namespace

std::vector<std::string> parse_text_list(std::string_view cell, std::string_view where) {
  if (cell.empty()) return {};
  if (!cell.starts_with('[')) return {std::string(cell)};
  return ListParser(cell, where).parse();
}

}  // namespace sdsclip

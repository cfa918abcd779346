#include "json_scanner.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "sdsclip/base/error.h"
#include "sdsclip/base/file_kind.h"
#include "sdsclip/base/json.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

bool is_control(char character) {
  return static_cast<unsigned char>(character) < 0x20;
}

/// A loose check, which is enough for a value that is skipped.
bool is_number(std::string_view word) {
  return word.find_first_of("0123456789") <= 1 &&
         word.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
}

bool is_whole_number(std::string_view word) {
  if (word.starts_with('-')) word.remove_prefix(1);
  return !word.empty() && word.size() <= 19 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

JsonScanner::JsonScanner(const FileReader& file) : file_(file), blocks_(file) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  refuse_foreign_kind(file.path(), rest(), "JSON in UTF-8");
  if (rest().starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
}

void JsonScanner::take() {
  if (rest().front() == '\n') ++line_;
  ++position_;
}

void JsonScanner::skip_spaces() {
  for (std::string_view text = rest(); !text.empty(); text = rest()) {
    const char next = text.front();
    if (next != ' ' && next != '\t' && next != '\r' && (next != '\n' || lines_)) return;
    take();
  }
}

char JsonScanner::peek() {
  skip_spaces();
  return rest().empty() ? '\0' : rest().front();
}

Error JsonScanner::malformed(std::string_view expected) {
  const std::string_view found = rest();
  const bool is_end = found.empty() || (lines_ && found.front() == '\n');
  return input_error("{}:{}: not JSON, or cut short: got {}, expected {}", file_.path().string(), line_,
                     is_end ? "the end" : fmt::format("'{}'", found.substr(0, 20)), expected);
}

void JsonScanner::expect(char character, std::string_view expected) {
  if (peek() != character) throw malformed(expected);
  take();
}

void JsonScanner::enter() {
  if (++depth_ > static_cast<int>(kDeepestJson)) {
    throw input_error("{}:{}: is nested deeper than {} levels", file_.path().string(), line_,
                      static_cast<int>(kDeepestJson));
  }
}

void JsonScanner::object(const std::function<void(const std::string& key)>& member) {
  constexpr std::size_t kMostKey = 256;
  enter();
  expect('{', "an object");
  while (peek() != '}') {
    if (peek() != '"') throw malformed("a key in double quotes");
    const Text key = scan_string(kMostKey);
    expect(':', "':' after a key");
    member(key.is_whole ? json_text(key.bytes).value_or("") : "");
    if (peek() != ',') break;
    take();
    if (peek() == '}') throw malformed("a key after the comma");
  }
  expect('}', "',' or '}'");
  --depth_;
}

bool JsonScanner::record(const std::function<bool(const std::string& key)>& take) {
  if (peek() != '{') return skip(), false;
  object([&](const std::string& key) {
    if (!take(key)) skip();
  });
  return true;
}

void JsonScanner::array(const std::function<void()>& element) {
  enter();
  expect('[', "a list");
  while (peek() != ']') {
    element();
    if (peek() != ',') break;
    take();
    if (peek() == ']') throw malformed("a value after the comma");
  }
  expect(']', "',' or ']'");
  --depth_;
}

void JsonScanner::skip() {
  const char next = peek();
  if (next == '{') {
    object([this](const std::string&) { skip(); });
  } else if (next == '[') {
    array([this] { skip(); });
  } else if (next == '"') {
    (void)scan_string(0);
  } else {
    (void)scan_word();
  }
}

std::optional<TextPlace> JsonScanner::text(std::string& problem) {
  if (peek() != '"') {
    problem = peek() == 'n' ? "is null" : "is not a text";
    skip();
    return std::nullopt;
  }
  const Text found = scan_string(kMostCaptionBytes);
  if (!found.is_whole) {
    problem = fmt::format("is longer than {} bytes", kMostCaptionBytes);
    return std::nullopt;
  }
  if (!json_text(found.bytes)) {
    problem = "is not UTF-8 text: it holds a lone surrogate, a wrong escape or wrong bytes";
    return std::nullopt;
  }
  return TextPlace(found.start, found.bytes.size(), file_.path().string());
}

std::optional<std::string> JsonScanner::short_text() {
  if (peek() != '"') {
    skip();
    return std::nullopt;
  }
  const Text found = scan_string(kMostShardPath);
  return found.is_whole ? json_text(found.bytes) : std::nullopt;
}

std::optional<std::string> JsonScanner::identifier() {
  const char next = peek();
  if (next == '{' || next == '[') {
    skip();
    return std::nullopt;
  }
  if (next == '"') {
    Text found = scan_string(kMostShardPath);
    return found.is_whole ? std::optional<std::string>(std::move(found.bytes)) : std::nullopt;
  }
  std::string word = scan_word();
  return is_whole_number(word) ? std::optional<std::string>(std::move(word)) : std::nullopt;
}

/// Reads a string and keeps at most `keep` bytes of it.
JsonScanner::Text JsonScanner::scan_string(std::size_t keep) {
  Text found{position_, std::string(1, '"'), true};
  bool escaped = false;
  bool open = true;
  take();
  while (open) {
    const std::string_view text = rest();
    if (text.empty()) throw malformed("the end of a text");
    std::size_t length = 0;
    while (open && length < text.size()) {
      const char character = text[length];
      if (is_control(character)) break;
      open = escaped || character != '"';
      escaped = !escaped && character == '\\';
      ++length;
    }
    if (found.bytes.size() + length <= keep) {
      found.bytes.append(text.substr(0, length));
    } else {
      found.is_whole = false;
    }
    position_ += length;
    if (open && length < text.size()) throw malformed("the end of a text, or a control character as \\u00XX");
  }
  return found;
}

/// Reads a number or a literal, including Python's `NaN`, `Infinity` and `-Infinity`.
std::string JsonScanner::scan_word() {
  constexpr std::array<std::string_view, 6> kLiterals = {"true", "false",    "null",
                                                         "NaN",  "Infinity", "-Infinity"};
  constexpr std::size_t kMostWord = 4096;
  std::string word;
  for (std::string_view text = rest(); !text.empty() && word.size() < kMostWord; text = rest()) {
    const char next = text.front();
    if (std::isalnum(static_cast<unsigned char>(next)) == 0 && next != '-' && next != '+' && next != '.')
      break;
    word.push_back(next);
    take();
  }
  if (!is_number(word) && std::find(kLiterals.begin(), kLiterals.end(), word) == kLiterals.end()) {
    if (word.empty()) throw malformed("a value");
    throw input_error("{}:{}: not JSON, or cut short: got '{}', expected a value", file_.path().string(),
                      line_, shortened(word, 20));
  }
  return word;
}

void JsonScanner::end_line() {
  if (peek() != '\0' && peek() != '\n') throw malformed("the end of the record's line");
  if (!rest().empty()) take();
}

void JsonScanner::pass_line() {
  depth_ = 0;
  for (std::string_view text = rest(); !text.empty(); text = rest()) {
    const std::size_t end = text.find('\n');
    if (end != std::string_view::npos) {
      position_ += end;
      take();
      return;
    }
    position_ += text.size();
  }
}

bool JsonScanner::at_record() {
  while (peek() == '\n') take();
  return !rest().empty();
}

void JsonScanner::end() {
  if (peek() != '\0' || !rest().empty()) throw malformed("the end of the file");
}

}  // namespace sdsclip

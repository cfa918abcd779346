#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "file_reader.h"
#include "text_place.h"

namespace sdsclip {

/// Walks over a JSON file of any size from its start to its end, and keeps nothing of it: texts are told by
/// their places. More lenient than the standard where a value is passed over: `NaN` and `Infinity`, which
/// Python writes, lone surrogates and bytes that are not UTF-8 hurt only where a text is asked for.
/// All functions throw `Error(kInput)` that names file and line where the file is not JSON, or nested beyond
/// `kDeepestJson` levels.
class JsonScanner {
 public:
  explicit JsonScanner(const FileReader& file);

  /// The first character of the next value; '\0' at the end of the file.
  char peek();

  /// Walks over an object, calling `member` with each key; it must take the key's value.
  void object(const std::function<void(const std::string& key)>& member);

  /// Walks over a list, calling `element` at each element; it must take it.
  void array(const std::function<void()>& element);

  /// Takes a value of any kind.
  void skip();

  /// Takes a value: the place of its text, quotes included. Nothing where it is none, is not UTF-8 after all
  /// escapes, or is longer than `kMostCaptionBytes`; `problem` then says which.
  std::optional<TextPlace> text(std::string& problem);

  /// Takes a value: a whole number or a text as it is written, so that 1 and "1" differ; else nothing.
  std::optional<std::string> identifier();

  /// Takes a value: the text itself, where it is one.
  std::optional<std::string> short_text();

  /// For JSON Lines: from now on a record ends with its line.
  void read_lines() { lines_ = true; }
  /// Throws unless nothing is left of the present line; takes the line's end.
  void end_line();
  /// Goes to the start of the next line, wherever it stands.
  void pass_line();
  /// Passes over blank lines; false at the end of the file.
  bool at_record();

  /// Throws unless nothing is left of the file.
  void end();

  [[nodiscard]] std::int64_t line() const { return line_; }
  /// Error about the present place: "FILE:LINE: not JSON, or cut short: got ..., expected ...".
  [[nodiscard]] Error malformed(std::string_view expected);

 private:
  struct Text {
    std::uint64_t start = 0;
    std::string bytes;  // quotes included, as far as the limit
    bool is_whole = true;
  };

  [[nodiscard]] std::string_view rest();
  void take();
  void skip_spaces();
  void expect(char character, std::string_view expected);
  void enter();
  Text scan_string(std::size_t keep);
  std::string scan_word();

  const FileReader& file_;
  std::string block_;
  std::uint64_t block_start_ = 0;
  std::uint64_t position_ = 0;
  std::int64_t line_ = 1;
  int depth_ = 0;
  bool lines_ = false;
};

}  // namespace sdsclip

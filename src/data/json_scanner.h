#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sdsclip/data/block_reader.h"
#include "text_place.h"

namespace sdsclip {

/// Scans a JSON file of any size from start to end without keeping it; texts are returned as places. It is
/// more lenient than the standard with skipped values: `NaN` and `Infinity` (which Python writes), lone
/// surrogates and bytes that are not UTF-8 matter only in texts that are read. All functions throw
/// `Error(kInput)` that names file and line if the file is not JSON or is nested deeper than `kDeepestJson`.
class JsonScanner {
 public:
  explicit JsonScanner(const FileReader& file);

  /// The first character of the next value; '\0' at the end of the file.
  char peek();

  /// Reads an object and calls `member` with each key; `member` must read the key's value.
  void object(const std::function<void(const std::string& key)>& member);

  /// Reads a record: `take` reads the values of the keys that it returns true for, and the others are skipped.
  /// Skips a value of another kind and returns false.
  bool record(const std::function<bool(const std::string& key)>& take);

  /// Reads a list and calls `element` at each element; `element` must read it.
  void array(const std::function<void()>& element);

  /// Skips a value of any kind.
  void skip();

  /// Reads a value and returns the place of its text, with the quotes. Returns nothing if it is not a text,
  /// is not UTF-8 after its escapes, or is longer than `kMostCaptionBytes`; `problem` says which.
  std::optional<TextPlace> text(std::string& problem);

  /// Reads a whole number or a text as written, so that 1 and "1" differ; nothing for other values.
  std::optional<std::string> identifier();

  /// Reads a text; nothing for other values.
  std::optional<std::string> short_text();

  /// For JSON Lines: from now on a record ends with its line.
  void read_lines() { lines_ = true; }
  /// Throws if anything is left of the current line; then consumes the line ending.
  void end_line();
  /// Skips to the start of the next line.
  void pass_line();
  /// Skips blank lines; false at the end of the file.
  bool at_record();

  /// Throws if anything is left of the file.
  void end();

  [[nodiscard]] std::int64_t line() const { return line_; }
  /// The error for the current place: "FILE:LINE: not JSON, or cut short: got ..., expected ...".
  [[nodiscard]] Error malformed(std::string_view expected);

 private:
  struct Text {
    std::uint64_t start = 0;
    std::string bytes;  // with quotes, up to the limit
    bool is_whole = true;
  };

  [[nodiscard]] std::string_view rest() { return blocks_.at(position_); }
  void take();
  void skip_spaces();
  void expect(char character, std::string_view expected);
  void enter();
  Text scan_string(std::size_t keep);
  std::string scan_word();

  const FileReader& file_;
  BlockReader blocks_;
  std::uint64_t position_ = 0;
  std::int64_t line_ = 1;
  int depth_ = 0;
  bool lines_ = false;
};

}  // namespace sdsclip

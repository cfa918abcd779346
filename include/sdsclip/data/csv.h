#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/data/block_reader.h"

namespace sdsclip {

/// How a table's fields are separated and quoted.
struct CsvFormat {
  char separator = ',';
  bool quotes = true;              ///< whether double quotes enclose fields
  bool skips_white_lines = false;  ///< whether lines of spaces and tabs that separate nothing are no records
};

/// One record of a table.
struct CsvRow {
  std::int64_t number = 0;   ///< 0 for the first record, usually the header; blank lines do not count
  std::int64_t line = 0;     ///< line where the record starts, from 1
  std::uint64_t offset = 0;  ///< of the record's first byte in the file
  std::uint64_t size = 0;    ///< in bytes, without the line ending
  std::vector<std::string> fields;
};

/// Reads a table record by record, by the rules of Python's `csv.reader`:
/// - A field that starts with a quote ends at its closing quote. Separators and line breaks inside belong to
///   it, and two quotes mean one. Text after the closing quote is kept as it is.
/// - A quote anywhere else is an ordinary character.
/// - A record ends with "\n", "\r\n" or "\r"; the last one may lack it.
/// - Empty lines are skipped; with `skips_white_lines`, as pandas does, also lines of white space.
/// A byte order mark at the start of the file is skipped. Memory holds one block and one record.
class CsvReader {
 public:
  /// Throws `Error(kInput)` if the file is missing, is not a regular file, or does not look like text.
  explicit CsvReader(const fs::path& path, const CsvFormat& format = {});
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  /// Reads the next record; false at the end. Throws `Error(kInput)` that names row and line if a quoted
  /// field is not closed or the record exceeds `kMostRowBytes`.
  bool next(CsvRow& row);

  /// Continues with the record at `start`, of which offset, line and number are used.
  void seek(const CsvRow& start);

 private:
  /// The rest of the current block; empty at the end of the file.
  std::string_view peek() { return blocks_.at(position_); }
  /// Counts "\r\n" as one line ending.
  void count_line(char character);
  /// Lines of nothing; where the format says so, also of spaces and tabs that separate nothing.
  void pass_blank_lines();

  FileReader file_;
  BlockReader blocks_{file_};
  CsvFormat format_;
  std::uint64_t position_ = 0;
  std::int64_t line_ = 1;
  std::int64_t number_ = 0;
  char previous_ = '\0';
};

/// A record's place as errors name it: "FILE: row 3 (line 5)".
std::string csv_place(const fs::path& path, const CsvRow& row);

/// Splits the bytes of one record (`CsvRow::offset` and `size`) into fields.
std::vector<std::string> split_csv_record(std::string_view record, const CsvFormat& format = {});

}  // namespace sdsclip

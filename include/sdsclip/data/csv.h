#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// How a table's fields stand in its lines.
struct CsvFormat {
  char separator = ',';
  bool quotes = true;  ///< a field that starts with a double quote ends at the next one
};

/// One record of a table.
struct CsvRow {
  std::int64_t number = 0;   ///< 0 for the first record, which mostly is the header; blank lines do not count
  std::int64_t line = 0;     ///< where it starts, from 1
  std::uint64_t offset = 0;  ///< of its first byte in the file
  std::uint64_t size = 0;    ///< in bytes, without the line's end
  std::vector<std::string> fields;
};

/// Reads a table record by record, by the rules of Python's `csv.reader` and of pandas:
/// - A field that starts with a quote runs to its closing quote; separators and line breaks inside belong to
///   it, and two quotes stand for one. What follows the closing quote is kept to the letter.
/// - A quote anywhere else is a character like others.
/// - A record ends with "\n", "\r\n" or "\r"; the last one may lack it. Blank lines are passed over.
/// A byte order mark at the start of the file is passed over. In memory there is one block and one record.
class CsvReader {
 public:
  /// Throws `Error(kInput)` where the file is missing, is no regular file, or does not look like text.
  explicit CsvReader(const std::filesystem::path& path, const CsvFormat& format = {});
  ~CsvReader();
  CsvReader(CsvReader&&) noexcept;
  CsvReader& operator=(CsvReader&&) noexcept;

  /// The next record; false at the end. Throws `Error(kInput)` that names row and line of a quoted field that
  /// does not end, and of a record beyond `kMostRowBytes`.
  bool next(CsvRow& row);

  /// Goes on with the record at `start`, of which offset, line and number are used.
  void seek(const CsvRow& start);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// "FILE: row 3 (line 5)"
std::string csv_place(const std::filesystem::path& path, const CsvRow& row);

/// The fields of one record, such as the bytes that `CsvRow` tells of.
std::vector<std::string> split_csv_record(std::string_view record, const CsvFormat& format = {});

}  // namespace sdsclip

#include "sdsclip/data/csv.h"

#include <algorithm>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/base/file_kind.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

/// Splits one record, character by character; the states are those of CPython's `_csv.c`.
class RecordParser {
 public:
  RecordParser(const CsvFormat& format, std::vector<std::string>& fields)
      : format_(format), fields_(fields) {}

  /// Returns whether `character` ends the record: a line ending outside quotes does.
  bool take(char character) {
    const bool quote = format_.quotes && character == '"';
    if (state_ == State::kQuoted) {
      if (quote) {
        state_ = State::kQuoteSeen;
      } else {
        field_.push_back(character);
      }
      return false;
    }
    if (quote && state_ == State::kFieldStart) {
      state_ = State::kQuoted;
      return false;
    }
    if (character == '\n' || character == '\r') return true;
    if (quote && state_ == State::kQuoteSeen) {  // two quotes inside quotes mean one
      field_.push_back(character);
      state_ = State::kQuoted;
    } else if (character == format_.separator) {
      end_field();
    } else {
      field_.push_back(character);
      state_ = State::kPlain;
    }
    return false;
  }

  void end_field() {
    fields_.push_back(std::exchange(field_, {}));
    state_ = State::kFieldStart;
  }

  [[nodiscard]] bool in_quotes() const { return state_ == State::kQuoted; }

 private:
  enum class State { kFieldStart, kPlain, kQuoted, kQuoteSeen };

  const CsvFormat& format_;
  std::vector<std::string>& fields_;
  std::string field_;
  State state_ = State::kFieldStart;
};

}  // namespace

CsvReader::CsvReader(const fs::path& path, const CsvFormat& format) : file_(path), format_(format) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  refuse_foreign_kind(path, peek(), "a table in UTF-8");
  if (peek().starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
}

bool CsvReader::next(CsvRow& row) {
  pass_blank_lines();
  if (peek().empty()) return false;
  row.number = number_;
  row.line = line_;
  row.offset = position_;
  row.fields.clear();
  RecordParser parser(format_, row.fields);
  bool ended = false;
  while (!ended && !peek().empty()) {
    for (const char character : peek()) {
      ended = parser.take(character);
      if (ended) break;
      count_line(character);
      ++position_;
    }
    if (position_ - row.offset > kMostRowBytes) {
      throw input_error("{}: is longer than {} bytes; is a quoted field not closed?",
                        csv_place(file_.path(), row), kMostRowBytes);
    }
  }
  if (parser.in_quotes()) {
    throw input_error("{}: a quoted field does not end; its quote is not closed, or the file is cut short",
                      csv_place(file_.path(), row));
  }
  parser.end_field();
  row.size = position_ - row.offset;
  ++number_;
  return true;
}

void CsvReader::seek(const CsvRow& start) {
  position_ = start.offset;
  line_ = start.line;
  number_ = start.number;
  previous_ = '\n';
}

void CsvReader::count_line(char character) {
  if (character == '\r' || (character == '\n' && previous_ != '\r')) ++line_;
  previous_ = character;
}

void CsvReader::pass_blank_lines() {
  std::uint64_t end = position_;  // of the blank part of this line
  for (std::string_view rest = peek(); !rest.empty(); rest = blocks_.at(end)) {
    const bool white = rest.front() == ' ' || rest.front() == '\t';
    if (rest.front() == '\n' || rest.front() == '\r') {
      count_line(rest.front());
      position_ = ++end;
    } else if (format_.skips_white_lines && white && rest.front() != format_.separator) {
      previous_ = rest.front();
      ++end;
    } else {
      return;
    }
  }
  position_ = end;
}

std::string csv_place(const fs::path& path, const CsvRow& row) {
  return fmt::format("{}: row {} (line {})", path.string(), row.number, row.line);
}

std::vector<std::string> split_csv_record(std::string_view record, const CsvFormat& format) {
  std::vector<std::string> fields;
  RecordParser parser(format, fields);
  for (const char character : record) {
    if (parser.take(character)) break;
  }
  parser.end_field();
  return fields;
}

}  // namespace sdsclip

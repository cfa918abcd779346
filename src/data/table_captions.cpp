#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "file_reader.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/image.h"
#include "text_list.h"
#include "text_place.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

/// Follows a table character by character, so that a line break inside quotes is not taken for the end of a
/// row (RFC 4180; as in pandas a quote counts only where a field starts with one).
class RowScanner {
 public:
  explicit RowScanner(char separator) : separator_(separator) {}

  enum class Event { kNone, kFieldEnd, kRowEnd };

  Event take(char character) {
    const bool quote = character == '"';
    if (state_ == State::kQuoted) {
      if (quote) state_ = State::kQuoteSeen;
      return Event::kNone;
    }
    if (quote && (state_ == State::kFieldStart || state_ == State::kQuoteSeen)) {
      state_ = State::kQuoted;  // two quotes inside quotes stand for one
      return Event::kNone;
    }
    const bool row_end = character == '\n';
    const bool field_end = character == separator_;
    state_ = row_end || field_end ? State::kFieldStart : State::kPlain;
    return row_end ? Event::kRowEnd : field_end ? Event::kFieldEnd : Event::kNone;
  }

  /// Whether the table may end here.
  [[nodiscard]] bool may_end() const { return state_ != State::kQuoted; }

 private:
  enum class State { kFieldStart, kPlain, kQuoted, kQuoteSeen };

  char separator_;
  State state_ = State::kFieldStart;
};

/// A field without its quotes, and without a carriage return at the end of a row.
std::string unquoted(std::string_view field) {
  if (field.ends_with('\r')) field.remove_suffix(1);
  if (field.size() < 2 || !field.starts_with('"') || !field.ends_with('"')) return std::string(field);
  std::string text;
  for (std::size_t i = 1; i + 1 < field.size(); ++i) {
    text.push_back(field[i]);
    if (field[i] == '"') ++i;
  }
  return text;
}

std::vector<std::string> split_row(std::string_view row, char separator) {
  RowScanner scanner(separator);
  std::vector<std::string> fields;
  std::size_t start = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (scanner.take(row[i]) != RowScanner::Event::kFieldEnd) continue;
    fields.push_back(unquoted(row.substr(start, i - start)));
    start = i + 1;
  }
  fields.push_back(unquoted(row.substr(start)));
  return fields;
}

class TableCaptions : public CaptionDataset {
 public:
  TableCaptions(const fs::path& table, fs::path images);

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const std::vector<std::string> fields = read_row(index);
    CaptionRecord record;
    record.image_name = fields[image_column_];
    record.captions = {fields[caption_column_]};
    if (record.image_name.empty() || record.captions[0].empty())
      throw bad_row(index, "has no image or no caption");
    if (negative_column_) record.negative_captions = parse_text_list(fields[*negative_column_], where(index));
    return record;
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return read_image_bytes(images_ / read_row(index)[image_column_]);
  }

  [[nodiscard]] std::size_t index_bytes() const override { return rows_.size() * sizeof(TextPlace); }

 private:
  void read_header(std::string_view header);
  void add_row(const TextPlace& row, std::size_t fields, std::size_t line);
  [[nodiscard]] std::vector<std::string> read_row(std::int64_t index) const;
  [[nodiscard]] std::string where(std::int64_t index) const {
    return fmt::format("{}: row {}", file_.path().string(), index + 1);
  }
  [[nodiscard]] Error bad_row(std::int64_t index, std::string_view what) const {
    return input_error("{} {}", where(index), what);
  }

  FileReader file_;
  fs::path images_;
  char separator_;
  std::size_t columns_ = 0;
  std::size_t image_column_ = 0;
  std::size_t caption_column_ = 0;
  std::optional<std::size_t> negative_column_;
  std::vector<TextPlace> rows_;
};

TableCaptions::TableCaptions(const fs::path& table, fs::path images)
    : file_(table), images_(std::move(images)), separator_(table.extension() == ".csv" ? ',' : '\t') {
  constexpr std::size_t kBlock = 1 << 20;
  RowScanner scanner(separator_);
  std::uint64_t row_start = 0;
  std::size_t fields = 1;
  std::size_t line = 1;
  const auto end_row = [&](std::uint64_t end) {
    const TextPlace row(row_start, end - row_start, table.string());
    if (columns_ == 0) {
      read_header(file_.read(row.offset(), row.size()));
    } else if (row.size() > 1 || fields > 1) {  // an empty line, perhaps with a carriage return, is no row
      add_row(row, fields, line);
    }
    row_start = end + 1;
    fields = 1;
    ++line;
  };
  for (std::uint64_t offset = 0; offset < file_.size(); offset += kBlock) {
    const std::string block = file_.read(offset, std::min<std::uint64_t>(kBlock, file_.size() - offset));
    for (std::size_t i = 0; i < block.size(); ++i) {
      const RowScanner::Event event = scanner.take(block[i]);
      if (event == RowScanner::Event::kFieldEnd) ++fields;
      if (event == RowScanner::Event::kRowEnd) end_row(offset + i);
    }
  }
  if (!scanner.may_end()) {
    throw input_error("{}: row {}: a quoted field does not end; is the file cut short?", table.string(),
                      line - 1);
  }
  if (row_start < file_.size()) end_row(file_.size());
  if (rows_.empty())
    throw input_error("{}: holds no row, expected a header and a row an image", table.string());
  rows_.shrink_to_fit();
}

void TableCaptions::read_header(std::string_view header) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (header.starts_with(kByteOrderMark)) header.remove_prefix(kByteOrderMark.size());
  const std::vector<std::string> names = split_row(header, separator_);
  columns_ = names.size();
  const auto column = [&](std::string_view name) -> std::optional<std::size_t> {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) return std::nullopt;
    return static_cast<std::size_t>(at - names.begin());
  };
  if (!column("filepath") || !column("title")) {
    throw input_error("{}: the header has the columns '{}', expected 'filepath' and 'title' between {}",
                      file_.path().string(), join(names, "', '"), separator_ == ',' ? "commas" : "tabs");
  }
  image_column_ = *column("filepath");
  caption_column_ = *column("title");
  negative_column_ = column("neg_caption");
}

void TableCaptions::add_row(const TextPlace& row, std::size_t fields, std::size_t line) {
  if (fields != columns_) {
    throw input_error("{}: row {}: got {} columns, expected {} as in the header", file_.path().string(),
                      line - 1, fields, columns_);
  }
  rows_.push_back(row);
}

std::vector<std::string> TableCaptions::read_row(std::int64_t index) const {
  const TextPlace& row = rows_.at(static_cast<std::size_t>(index));
  std::vector<std::string> fields = split_row(file_.read(row.offset(), row.size()), separator_);
  if (fields.size() != columns_) throw bad_row(index, "was changed during the run");
  return fields;
}

}  // namespace

std::unique_ptr<CaptionDataset> open_table_captions(const fs::path& table, const fs::path& images) {
  return std::make_unique<TableCaptions>(table, images);
}

}  // namespace sdsclip

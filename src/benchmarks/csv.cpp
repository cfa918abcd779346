#include "csv.h"

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "text_lines.h"

namespace sdsclip {
namespace {

// Walks over the text once; `position_` is the next letter.
class CsvParser {
 public:
  CsvParser(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {
    if (text_.starts_with("\xEF\xBB\xBF")) position_ = 3;  // a byte order mark, as spreadsheets write it
  }

  std::vector<CsvRow> parse() {
    std::vector<CsvRow> rows;
    while (position_ < text_.size()) {
      CsvRow row = parse_row();
      for (const std::string& field : row.fields) {
        if (!is_utf8(field))
          throw input_error("{}: line {}: not UTF-8; save the file as UTF-8", name_, row.line);
      }
      const bool blank = row.fields.size() == 1 && row.fields[0].empty();
      if (!blank) rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  CsvRow parse_row() {
    CsvRow row{.line = line_, .fields = {}};
    while (true) {
      row.fields.push_back(at('"') ? quoted_field() : plain_field());
      if (take(',')) continue;
      take('\r');
      if (take('\n')) ++line_;
      return row;
    }
  }

  std::string plain_field() {
    std::string field;
    while (position_ < text_.size() && !at(',') && !at('\n') && !at('\r')) {
      if (at('"')) throw input_error("{}: line {}: a quote in the middle of a field", name_, line_);
      field += text_[position_++];
    }
    return field;
  }

  std::string quoted_field() {
    const std::int64_t first_line = line_;
    std::string field;
    ++position_;
    while (true) {
      if (position_ == text_.size())
        throw input_error("{}: line {}: a quote is not closed", name_, first_line);
      if (take('"')) {
        if (!at('"')) break;  // two quotes stand for one
      }
      if (at('\n')) ++line_;
      field += text_[position_++];
    }
    if (position_ < text_.size() && !at(',') && !at('\n') && !at('\r')) {
      throw input_error("{}: line {}: text after a closing quote", name_, line_);
    }
    return field;
  }

  [[nodiscard]] bool at(char letter) const { return position_ < text_.size() && text_[position_] == letter; }
  bool take(char letter) {
    if (!at(letter)) return false;
    ++position_;
    return true;
  }

  std::string text_;
  std::string name_;
  std::size_t position_ = 0;
  std::int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRow> read_csv(const std::filesystem::path& path) {
  return CsvParser(read_file(path), path.string()).parse();
}

}  // namespace sdsclip

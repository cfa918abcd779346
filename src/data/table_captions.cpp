#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/base/file_reader.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/csv.h"
#include "sdsclip/data/image.h"
#include "text_list.h"
#include "text_place.h"

namespace sdsclip {
namespace {

struct NamedSeparator {
  char character;
  std::string_view name;
};
constexpr std::array<NamedSeparator, 4> kSeparators = {
    {{'\t', "tabs"}, {',', "commas"}, {';', "semicolons"}, {'|', "'|'"}}};  // in the order of `Separator`

/// What the first record tells about a table.
struct TableHeader {
  CsvFormat format;
  bool is_header = true;  // false: the first record is already a sample
  std::size_t columns = 0;
  std::size_t image = 0;
  std::size_t caption = 0;
  std::optional<std::size_t> negatives = {};
  std::optional<std::size_t> split = {};
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// Names are compared without spaces around them: Flickr30k's `results.csv` has "image_name| comment".
std::optional<std::size_t> find_column(const std::vector<std::string>& names, std::string_view name) {
  const auto at = std::find_if(names.begin(), names.end(),
                               [name](const std::string& other) { return trimmed(other) == trimmed(name); });
  if (at == names.end()) return std::nullopt;
  return static_cast<std::size_t>(at - names.begin());
}

bool is_address(std::string_view text) {
  return text.starts_with("http://") || text.starts_with("https://");
}

/// The position of the "#" in "1000268201_693b08cb0e.jpg#0": an image's name and the number of its caption.
std::size_t caption_number_at(std::string_view name) {
  const std::size_t hash = name.rfind('#');
  if (hash == std::string_view::npos || hash == 0 || hash + 1 == name.size()) return name.size();
  return name.find_first_not_of("0123456789", hash + 1) == std::string_view::npos ? hash : name.size();
}

std::optional<CsvRow> first_record(const fs::path& table, const CsvFormat& format) {
  CsvReader reader(table, format);
  CsvRow row;
  return reader.next(row) ? std::optional<CsvRow>(std::move(row)) : std::nullopt;
}

/// The error for missing columns. It shows the first record, split by the separator that gives most columns.
Error no_such_columns(const fs::path& table, const RecordKeys& keys,
                      std::span<const NamedSeparator> separators) {
  CsvRow best;
  std::string_view between;
  for (const NamedSeparator& separator : separators) {
    const std::optional<CsvRow> row = first_record(table, {separator.character, true});
    if (!row || row->fields.size() <= best.fields.size()) continue;
    best = *row;
    between = separator.name;
  }
  if (std::any_of(best.fields.begin(), best.fields.end(), is_address)) {
    return input_error(
        "{}: its first line holds the address of an image; download the images first, such as with "
        "img2dataset, and read the shards with data.format=webdataset",
        table.string());
  }
  if (!best.fields.empty() && (best.fields[0].starts_with('{') || best.fields[0].starts_with('['))) {
    return input_error(
        "{}: looks like JSON, expected a table; set data.format to coco, karpathy, json or jsonl",
        table.string());
  }
  constexpr std::size_t kShown = 20;
  std::vector<std::string> names;
  for (const std::string& name : best.fields) names.push_back(shortened(name, 40));
  if (names.size() > kShown) names.erase(names.begin() + kShown, names.end());
  return input_error(
      "{}: the header has the columns '{}'{} between {}, expected '{}' and '{}'; name the table's own with "
      "data.image_column and data.caption_column{}",
      table.string(), join(names, "', '"), best.fields.size() > kShown ? ", ..." : "", between, keys.image,
      keys.caption, separators.size() == 1 ? ", or set data.separator=auto" : "");
}

TableHeader read_header(const fs::path& table, const TableOptions& options) {
  RecordKeys keys = options.columns;
  if (keys.image.empty()) keys.image = "filepath";
  if (keys.caption.empty()) keys.caption = "title";
  std::span<const NamedSeparator> separators = kSeparators;
  if (options.separator != Separator::kDetect) {
    separators = separators.subspan(static_cast<std::size_t>(options.separator) - 1, 1);
  }
  for (const NamedSeparator& separator : separators) {
    const CsvFormat format{.separator = separator.character, .skips_white_lines = true};
    const std::optional<CsvRow> row = first_record(table, format);
    if (!row) throw input_error("{}: holds no row, expected a header and a row per image", table.string());
    const std::vector<std::string>& names = row->fields;
    const std::optional<std::size_t> image = find_column(names, keys.image);
    const std::optional<std::size_t> caption = find_column(names, keys.caption);
    if (!image || !caption) continue;
    if (!keys.split.empty() && !find_column(names, "split")) {
      throw input_error("{}: data.split is set, but the header has no column 'split'", table.string());
    }
    return {.format = format,
            .is_header = true,
            .columns = names.size(),
            .image = *image,
            .caption = *caption,
            .negatives = find_column(names, "neg_caption"),
            .split = keys.split.empty() ? std::nullopt : find_column(names, "split")};
  }
  // Flickr's token files have no header, and quotes are ordinary characters.
  const CsvFormat plain{.separator = '\t', .quotes = false, .skips_white_lines = true};
  const std::optional<CsvRow> row = first_record(table, plain);
  if (row && row->fields.size() == 2 && caption_number_at(row->fields[0]) < row->fields[0].size()) {
    return {.format = plain, .is_header = false, .columns = 2, .image = 0, .caption = 1};
  }
  throw no_such_columns(table, keys, separators);
}

class TableCaptions : public CaptionDataset {
 public:
  TableCaptions(const fs::path& table, fs::path images, const TableOptions& options);

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const std::vector<std::string> fields = read_row(index);
    CaptionRecord record;
    record.image_name = image_name(fields);
    record.captions = captions(fields[header_.caption]);
    if (record.image_name.empty() || record.captions.empty() || record.captions[0].empty())
      throw input_error("{} has no image or no caption", where(index));
    if (header_.negatives)
      record.negative_captions = parse_text_list(fields[*header_.negatives], where(index));
    return record;
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return read_image_bytes(images_ / image_name(read_row(index)));
  }

  [[nodiscard]] fs::path images_folder() const override { return images_; }

  [[nodiscard]] std::size_t index_bytes() const override {
    return rows_.size() * sizeof(TextPlace) + landmarks_.size() * sizeof(Landmark);
  }

 private:
  /// The place of every kLandmarkEvery-th row, from which an error counts to the row's number and line.
  struct Landmark {
    std::int64_t number;
    std::int64_t line;
  };
  static constexpr std::size_t kLandmarkEvery = 1024;

  void check_row(const CsvRow& row, OnBadSample on_bad_sample) const;
  [[nodiscard]] std::string image_name(const std::vector<std::string>& fields) const {
    const std::string& name = fields[header_.image];
    return header_.is_header ? name : name.substr(0, caption_number_at(name));
  }

  /// A cell that is a complete list of texts (`["a", "b"]`) gives several captions.
  [[nodiscard]] static std::vector<std::string> captions(const std::string& cell) {
    if (!cell.starts_with("['") && !cell.starts_with("[\"")) return {cell};
    try {
      const nlohmann::json list = nlohmann::json::parse(cell, nullptr, false);
      return list.is_discarded() ? parse_text_list(cell, "") : list.get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception&) {
      return {cell};  // a list of other things
    } catch (const Error&) {
      return {cell};  // a caption that starts with a bracket
    }
  }

  [[nodiscard]] std::vector<std::string> read_row(std::int64_t index) const {
    const TextPlace& row = rows_.at(static_cast<std::size_t>(index));
    std::vector<std::string> fields = split_csv_record(file_.read(row.offset(), row.size()), header_.format);
    if (fields.size() != header_.columns) throw wrong_columns(where(index), fields.size());
    return fields;
  }

  [[nodiscard]] Error wrong_columns(const std::string& place, std::size_t count) const {
    return input_error("{}: got {} columns, expected {} as in the header", place, count, header_.columns);
  }

  [[nodiscard]] std::string where(std::int64_t index) const;

  /// Rows count from 1, without the header.
  [[nodiscard]] std::string place(CsvRow row) const {
    if (!header_.is_header) ++row.number;
    return csv_place(file_.path(), row);
  }

  FileReader file_;
  fs::path images_;
  TableHeader header_;
  std::vector<std::string> split_;
  std::vector<TextPlace> rows_;
  std::vector<Landmark> landmarks_;  // of row kLandmarkEvery, 2 * kLandmarkEvery, ...
  Landmark first_ = {1, 1};          // of row 0
};

TableCaptions::TableCaptions(const fs::path& table, fs::path images, const TableOptions& options)
    : file_(table),
      images_(std::move(images)),
      header_(read_header(table, options)),
      split_(options.columns.split) {
  CsvReader reader(table, header_.format);
  CsvRow row;
  if (header_.is_header) reader.next(row);
  while (reader.next(row)) {
    if (header_.split && row.fields.size() == header_.columns &&
        std::find(split_.begin(), split_.end(), row.fields[*header_.split]) == split_.end()) {
      continue;
    }
    check_row(row, options.rule.on_bad_sample);
    const Landmark here{row.number, row.line};
    if (rows_.empty()) first_ = here;
    if (!rows_.empty() && rows_.size() % kLandmarkEvery == 0) landmarks_.push_back(here);
    rows_.emplace_back(row.offset, row.size, table.string());
  }
  if (rows_.empty()) {
    throw input_error("{}: holds no row{}, expected a header and a row per image", table.string(),
                      split_.empty() ? "" : fmt::format(" of the split '{}'", join(split_, "' or '")));
  }
  rows_.shrink_to_fit();
}

/// If bad records end the run, reports before the first step what would fail later.
void TableCaptions::check_row(const CsvRow& row, OnBadSample on_bad_sample) const {
  if (row.fields.size() != header_.columns) {
    if (on_bad_sample != OnBadSample::kFail) return;
    throw input_error("{} (set data.on_bad_sample=skip to leave bad rows out)",
                      wrong_columns(place(row), row.fields.size()).what());
  }
  if (rows_.empty() && is_address(row.fields[header_.image])) {
    throw input_error(
        "{}: the image is an address, expected a file; download the images first, such as with img2dataset, "
        "and read the shards with data.format=webdataset",
        place(row));
  }
}

/// Counts from the landmark before the row, over the rows that were skipped.
std::string TableCaptions::where(std::int64_t index) const {
  const std::size_t target = static_cast<std::size_t>(index);
  const std::size_t from = target / kLandmarkEvery * kLandmarkEvery;
  const Landmark& landmark = from == 0 ? first_ : landmarks_[from / kLandmarkEvery - 1];
  CsvReader reader(file_.path(), header_.format);
  CsvRow row;
  row.number = landmark.number;
  row.line = landmark.line;
  row.offset = rows_[from].offset();
  reader.seek(row);
  while (reader.next(row) && row.offset < rows_[target].offset()) {
  }
  return place(row);
}

}  // namespace

std::unique_ptr<CaptionDataset> open_table_captions(const fs::path& table, const fs::path& images,
                                                    const TableOptions& options) {
  return std::make_unique<TableCaptions>(table, images, options);
}

}  // namespace sdsclip

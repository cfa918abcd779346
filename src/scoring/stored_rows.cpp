#include "stored_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sdsclip/base/error.h"

namespace sdsclip {

StoredRows::StoredRows(Database& database, std::filesystem::path path, std::string table,
                       std::string_view sql)
    : path_(std::move(path)), table_(std::move(table)), statement_(database.prepare(sql)) {}

bool StoredRows::step() {
  ++rows_read_;
  return statement_.step();
}

std::int64_t StoredRows::integer(int column, std::int64_t least, std::int64_t most) const {
  const bool is_whole = statement_.kind(column) == ValueKind::kInteger;  // asked before SQLite converts it
  const std::int64_t value = statement_.integer(column);
  if (!is_whole || value < least || value > most) {
    refuse(column, found(column), fmt::format("a whole number from {} to {}", least, most));
  }
  return value;
}

std::int32_t StoredRows::index(int column, std::int64_t count) const {
  if (count < 1) refuse(column, found(column), "no row, since what it refers to is empty");
  return static_cast<std::int32_t>(integer(column, 0, std::min(count - 1, kMostCounted)));
}

double StoredRows::real(int column, double least, double most) const {
  const ValueKind kind = statement_.kind(column);
  const double value = statement_.real(column);
  const bool is_number = kind == ValueKind::kReal || kind == ValueKind::kInteger;
  if (!is_number || !(value >= least && value <= most)) {  // also true for NaN
    std::string expected = "a finite number";
    if (least != std::numeric_limits<double>::lowest()) expected += fmt::format(", {} or more", least);
    if (most != std::numeric_limits<double>::max()) expected += fmt::format(", at most {}", most);
    refuse(column, found(column), expected);
  }
  return value;
}

std::string StoredRows::text(int column) const {
  if (statement_.kind(column) != ValueKind::kText) refuse(column, found(column), "a text");
  return statement_.text(column);
}

std::span<const std::byte> StoredRows::blob(int column) const {
  if (statement_.kind(column) != ValueKind::kBlob) refuse(column, found(column), "bytes");
  return statement_.blob(column);
}

std::vector<float> StoredRows::floats(int column, std::int64_t elements) const {
  const std::span<const std::byte> bytes = blob(column);
  const std::size_t expected = static_cast<std::size_t>(elements) * sizeof(float);
  if (elements > 0 && bytes.size() != expected) {
    refuse(column, fmt::format("{} bytes", bytes.size()), fmt::format("{}", expected));
  }
  if (bytes.size() % sizeof(float) != 0) {
    refuse(column, fmt::format("{} bytes", bytes.size()), "a multiple of 4");
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      refuse(column, fmt::format("{} as number {}", values[i], i), "finite numbers");
    }
  }
  return values;
}

std::string StoredRows::found(int column) const {
  switch (statement_.kind(column)) {
    case ValueKind::kInteger:
      return fmt::format("{}", statement_.integer(column));
    case ValueKind::kReal:
      return fmt::format("{}", statement_.real(column));
    case ValueKind::kText:
      return "a text";
    case ValueKind::kBlob:
      return fmt::format("{} bytes", statement_.blob(column).size());
    case ValueKind::kNull:
      break;
  }
  return "nothing";
}

void StoredRows::refuse(int column, const std::string& got, const std::string& expected) const {
  const std::string row = row_name_.empty() ? fmt::format("{}", rows_read_) : row_name_;
  throw input_error("{}: is damaged: table {}, row {}, column {}: got {}, expected {}", path_.string(),
                    table_, row, statement_.name(column), got, expected);
}

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlite.h"

namespace sdsclip {

/// The largest count in a store, because counts are held in 32 bits.
inline constexpr std::int64_t kMostCounted = std::numeric_limits<std::int32_t>::max();

/// A query over one table of a store. SQLite allows any value in any column, and a damaged file can pass its
/// own check, so each value is checked against its allowed range. A bad value throws `Error(kInput)` that
/// names file, table, row and column.
class StoredRows {
 public:
  /// Rows count from 1, in the order of the query.
  StoredRows(Database& database, std::filesystem::path path, std::string table, std::string_view sql);

  /// Binds the values to the query's parameters, like `Statement::start`. `row` names the row in errors.
  template <typename... Values>
  void start(std::string row, const Values&... values) {
    row_name_ = std::move(row);
    rows_read_ = 0;
    statement_.start(values...);
  }
  bool step();

  /// A whole number from `least` to `most`.
  [[nodiscard]] std::int64_t integer(int column, std::int64_t least, std::int64_t most) const;
  /// The index of a row of a table with `count` rows.
  [[nodiscard]] std::int32_t index(int column, std::int64_t count) const;
  /// A finite number from `least` to `most`.
  [[nodiscard]] double real(int column, double least = std::numeric_limits<double>::lowest(),
                            double most = std::numeric_limits<double>::max()) const;
  [[nodiscard]] std::string text(int column) const;
  /// Valid until the next `step`.
  [[nodiscard]] std::span<const std::byte> blob(int column) const;
  /// `elements` finite floats; 0: any number of them.
  [[nodiscard]] std::vector<float> floats(int column, std::int64_t elements) const;

  [[noreturn]] void refuse(int column, const std::string& got, const std::string& expected) const;

 private:
  [[nodiscard]] std::string found(int column) const;

  std::filesystem::path path_;
  std::string table_;
  Statement statement_;
  std::string row_name_;  // empty: the row's number
  std::int64_t rows_read_ = 0;
};

}  // namespace sdsclip

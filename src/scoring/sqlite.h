#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sdsclip/base/filesystem.h"

// The part of SQLite that the score store uses. Errors are `Error`: `kRuntime` for a full disk or a file in
// use, `kInput` for a damaged file or one that cannot be opened.
namespace sdsclip {

/// The kind of value in one column of a row.
enum class ValueKind { kInteger, kReal, kText, kBlob, kNull };

class Statement {
 public:
  Statement(sqlite3* connection, std::string_view sql);

  /// Binds the values to the parameters in order and runs the statement to its end.
  template <typename... Values>
  void run(const Values&... values) {
    start(values...);
    while (step()) {
    }
    reset();
  }

  /// Binds the values; `step` then moves from row to row until it returns false.
  template <typename... Values>
  void start(const Values&... values) {
    reset();
    int index = 0;
    (bind(++index, values), ...);
  }
  bool step();
  void reset();

  [[nodiscard]] ValueKind kind(int column) const;
  [[nodiscard]] std::string name(int column) const;  ///< the column's name
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double real(int column) const;
  [[nodiscard]] std::string text(int column) const;
  /// Valid until the next `step`.
  [[nodiscard]] std::span<const std::byte> blob(int column) const;

 private:
  void bind(int index, std::int64_t value);
  void bind(int index, std::int32_t value) { bind(index, std::int64_t{value}); }
  void bind(int index, double value);
  void bind(int index, std::string_view value);
  void bind(int index, std::span<const std::byte> value);

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  sqlite3* connection_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  enum class Mode {
    kCreate,
    kExisting,
    kRead  ///< never written to; its folder may be read-only
  };
  Database(const fs::path& path, Mode mode);

  void execute(const std::string& sql);
  Statement prepare(std::string_view sql) { return Statement(connection_.get(), sql); }
  /// The single value of a query's result.
  std::int64_t integer(std::string_view sql);
  std::string text(std::string_view sql);

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  std::unique_ptr<sqlite3, Close> connection_;
};

/// All or nothing: rolled back unless `commit` was called.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool committed_ = false;
};

}  // namespace sdsclip

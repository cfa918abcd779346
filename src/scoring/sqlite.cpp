#include "sqlite.h"

#include <unistd.h>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

constexpr int kBusyMilliseconds = 10'000;  // longest wait for another process

/// `opened` is the file's name, for a connection that failed and does not know it.
[[noreturn]] void fail(sqlite3* connection, int result, const fs::path& opened = {}) {
  const char* name = connection == nullptr ? nullptr : sqlite3_db_filename(connection, "main");
  const std::string path = !opened.empty() ? opened.string() : name == nullptr ? "scores.sqlite" : name;
  const std::string what = connection == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(connection);
  const bool cannot_read = result == SQLITE_IOERR_READ || result == SQLITE_IOERR_SHORT_READ;
  switch (result & 0xFF) {  // the primary code of an extended one
    case SQLITE_FULL:
    case SQLITE_IOERR:
      if (cannot_read) throw runtime_failure("{}: cannot read: {}; check the disk", path, what);
      throw runtime_failure("{}: cannot write: {}; free some space and run again with --resume", path, what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CONSTRAINT:
      throw runtime_failure("{}: another process writes to it ({}); wait for it, or give another --out", path,
                            what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw input_error("{}: is damaged or not an SQLite file ({}); delete it, or give another --out", path,
                        what);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      throw input_error("{}: cannot be opened for writing: {}; choose a folder that can be written", path,
                        what);
    case SQLITE_ERROR:  // our statements are fixed, so a table or column that they name is missing
    case SQLITE_MISMATCH:
      throw input_error(
          "{}: is damaged or was written by another program ({}); delete it, or give another --out", path,
          what);
    default:
      throw runtime_failure("{}: SQLite failed: {}", path, what);
  }
}

void check(sqlite3* connection, int result) {
  if (result != SQLITE_OK) fail(connection, result);
}

/// The SQLite URI of a read-only file. A store in write-ahead-log mode needs files beside it even for
/// reading, unless it is opened as immutable.
std::string immutable_uri(const fs::path& path) {
  std::string uri = "file:";
  for (const char character : path.string()) {
    const bool is_special = character == '%' || character == '?' || character == '#';
    uri += is_special ? fmt::format("%{:02X}", static_cast<unsigned char>(character))
                      : std::string(1, character);
  }
  return uri + "?immutable=1";
}

bool can_be_written(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  return ::access(path.c_str(), W_OK) == 0 && ::access(folder.c_str(), W_OK) == 0;
}

}  // namespace

Statement::Statement(sqlite3* connection, std::string_view sql) : connection_(connection) {
  sqlite3_stmt* statement = nullptr;
  check(connection,
        sqlite3_prepare_v2(connection, sql.data(), static_cast<int>(sql.size()), &statement, nullptr));
  statement_.reset(statement);
}

bool Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  fail(connection_, result);
}

void Statement::reset() {
  // This returns the error of the last step again, which was already reported.
  sqlite3_reset(statement_.get());
}

void Statement::bind(int index, std::int64_t value) {
  check(connection_, sqlite3_bind_int64(statement_.get(), index, value));
}

void Statement::bind(int index, double value) {
  check(connection_, sqlite3_bind_double(statement_.get(), index, value));
}

void Statement::bind(int index, std::string_view value) {
  // A null pointer would be stored as NULL instead of an empty text.
  const char* data = value.data() == nullptr ? "" : value.data();
  check(connection_,
        sqlite3_bind_text64(statement_.get(), index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind(int index, std::span<const std::byte> value) {
  check(connection_,
        sqlite3_bind_blob64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT));
}

ValueKind Statement::kind(int column) const {
  switch (sqlite3_column_type(statement_.get(), column)) {
    case SQLITE_INTEGER:
      return ValueKind::kInteger;
    case SQLITE_FLOAT:
      return ValueKind::kReal;
    case SQLITE_TEXT:
      return ValueKind::kText;
    case SQLITE_BLOB:
      return ValueKind::kBlob;
    default:
      return ValueKind::kNull;
  }
}

std::string Statement::name(int column) const {
  const char* name = sqlite3_column_name(statement_.get(), column);
  return name == nullptr ? std::string() : std::string(name);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const unsigned char* data = sqlite3_column_text(statement_.get(), column);
  const std::size_t size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(data), size);
}

std::span<const std::byte> Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const std::size_t size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return {static_cast<const std::byte*>(data), size};
}

Database::Database(const fs::path& path, Mode mode) {
  sqlite3* connection = nullptr;
  int result = SQLITE_OK;
  if (mode == Mode::kRead && !can_be_written(path)) {
    const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
    result = sqlite3_open_v2(immutable_uri(path).c_str(), &connection, flags, nullptr);
  } else {
    const int flags = SQLITE_OPEN_READWRITE | (mode == Mode::kCreate ? SQLITE_OPEN_CREATE : 0);
    result = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  }
  connection_.reset(connection);
  if (result != SQLITE_OK) fail(connection, result, path);
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, kBusyMilliseconds);
}

void Database::execute(const std::string& sql) {
  check(connection_.get(), sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr));
}

std::int64_t Database::integer(std::string_view sql) {
  Statement query = prepare(sql);
  query.step();
  return query.integer(0);
}

std::string Database::text(std::string_view sql) {
  Statement query = prepare(sql);
  query.step();
  return query.text(0);
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (committed_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {
    // On a full disk SQLite has already rolled back by itself.
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  committed_ = true;
}

}  // namespace sdsclip

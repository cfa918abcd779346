#include "store_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/file_reader.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/benchmarks/text_table.h"
#include "stored_rows.h"

namespace sdsclip {
namespace {

constexpr const char* kAdvice = "give another --out, or delete the file";
const std::string kDataKey = "data: ";  // prefix of an option's name in the table `run`
// These may change low bits, but a run that ran out of memory must be able to continue with smaller ones.
constexpr std::array<std::string_view, 4> kBatchSizes = {"image_batch", "text_batch", "micro_batch",
                                                         "encode_batch"};

// Separates numbers, so that no two tables give the same text.
template <typename Values>
void append_numbers(std::string& text, const Values& values) {
  for (const std::int32_t value : values) text += fmt::format("{},", value);
  text += ';';
}

std::string table_digest(const CaseTable& table) {
  std::string all;
  for (const BenchmarkImage& image : table.images) all += fmt::format("{}:{}", image.id.size(), image.id);
  all += '|';
  for (const BenchmarkCaption& caption : table.captions) {
    all += fmt::format("{}:{}{}", caption.id.size(), caption.id, caption.texts.size());
    for (const std::string& text : caption.texts) all += fmt::format(";{}:{}", text.size(), text);
  }
  all += '|';
  for (const Case& question : table.cases) {
    all += fmt::format("{}:{}", question.id.size(), question.id);
    append_numbers(all, question.images);
    append_numbers(all, question.captions);
    append_numbers(all, question.positives);
  }
  return sha256(all);
}

template <typename Row, typename NameOf>
void write_names(Database& database, const std::string& sql, const std::vector<Row>& rows,
                 NameOf name_of_row) {
  Statement insert = database.prepare(sql);
  for (std::size_t i = 0; i < rows.size(); ++i)
    insert.run(static_cast<std::int64_t>(i), name_of_row(rows[i]));
}

void write_header(Database& database, const RunIdentity& identity, const CaseTable& table) {
  Statement run = database.prepare("INSERT INTO run VALUES (?, ?)");
  run.run(std::string_view("scorer"), std::string_view(identity.scorer));
  run.run(std::string_view("benchmark"), std::string_view(identity.benchmark));
  run.run(std::string_view("model"), std::string_view(identity.model_name));
  run.run(std::string_view("model_sha256"), std::string_view(identity.model_sha256));
  run.run(std::string_view("table_sha256"), std::string_view(table_digest(table)));
  for (const auto& [key, value] : identity.data) {
    run.run(std::string_view(kDataKey + key), std::string_view(value));
  }
  Statement setting = database.prepare("INSERT INTO setting VALUES (?, ?, ?)");
  for (std::size_t i = 0; i < identity.settings.size(); ++i) {
    const auto& [key, value] = identity.settings[i];
    setting.run(static_cast<std::int64_t>(i), std::string_view(key), std::string_view(value));
  }
  write_names(database, "INSERT INTO image VALUES (?, ?)", table.images,
              [](const BenchmarkImage& image) -> std::string_view { return image.id; });
  write_names(database, "INSERT INTO caption VALUES (?, ?)", table.captions,
              [](const BenchmarkCaption& caption) -> std::string_view { return caption.id; });
  write_names(database, "INSERT INTO text VALUES (?, ?)", unique_texts(table).texts,
              [](const std::string& text) -> std::string_view { return text; });
  write_names(database, "INSERT INTO eval_case VALUES (?, ?)", table.cases,
              [](const Case& question) -> std::string_view { return question.id; });
}

void write_empty_store(const fs::path& path, const RunIdentity& identity, const CaseTable& table) {
  Database database(path, Database::Mode::kCreate);
  database.execute(
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplicationId, kSchemaVersion));
  Transaction transaction(database);
  database.execute(kScoreSchema);
  write_header(database, identity, table);
  transaction.commit();
}

std::string header_value(Database& database, const fs::path& path, const char* key) {
  StoredRows row(database, path, "run", "SELECT value FROM run WHERE key = ?");
  row.start(key, std::string_view(key));
  if (!row.step()) throw input_error("{}: is damaged: table run has no row {}", path.string(), key);
  return row.text(0);
}

/// Requires real tables: a view instead of a table could return rows without end.
void check_tables(Database& database, const fs::path& path) {
  StoredRows tables(database, path, "sqlite_master",
                    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?");
  for (const char* name : {"run", "setting", "choice", "work", "image", "caption", "text", "eval_case",
                           "embedding", "sample_point", "error", "score", "mark"}) {
    tables.start(name, std::string_view(name));
    if (!tables.step() || tables.integer(0, 0, 1) != 1) {
      throw input_error("{}: is damaged: it has no table {}; {}", path.string(), name, kAdvice);
    }
  }
}

[[noreturn]] void refuse(const fs::path& path, StoreOpening opening, const std::string& difference,
                         const std::string& advice) {
  const ExitCode code = opening == StoreOpening::kJudge ? ExitCode::kInput : ExitCode::kUsage;
  throw Error(code, fmt::format("{}: belongs to another run: {}; {}", path.string(), difference, advice));
}

std::string difference(std::string_view what, const std::string& stored, const std::string& own) {
  return fmt::format("its {} is {}, this run's is {}", what, stored.empty() ? "not set" : stored,
                     own.empty() ? "not set" : own);
}

using Settings = std::vector<std::pair<std::string, std::string>>;

std::string value_of(const Settings& settings, const std::string& key) {
  for (const auto& [own_key, value] : settings) {
    if (own_key == key) return value;
  }
  return {};
}

/// The first setting that differs or that only one of them has; empty if there is none.
std::string first_difference(const Settings& stored, const Settings& own,
                             const std::function<bool(const std::string& key)>& is_compared) {
  for (const auto& [key, value] : own) {
    if (is_compared(key) && value_of(stored, key) != value)
      return difference(key, value_of(stored, key), value);
  }
  for (const auto& [key, value] : stored) {
    if (is_compared(key) && value_of(own, key) != value) return difference(key, value, value_of(own, key));
  }
  return {};
}

void check_identity(const fs::path& path, const RunIdentity& stored, const RunIdentity& own,
                    StoreOpening opening) {
  const auto check = [&](std::string_view what, const std::string& a, const std::string& b) {
    if (a != b) refuse(path, opening, difference(what, a, b), kAdvice);
  };
  check("scorer", stored.scorer, own.scorer);
  check("benchmark", stored.benchmark, own.benchmark);
  if (opening == StoreOpening::kJudge) return;
  check("model", stored.model_name, own.model_name);
  check("model's SHA-256", stored.model_sha256, own.model_sha256);
  const auto is_batch = [](const std::string& key) {
    return std::find(kBatchSizes.begin(), kBatchSizes.end(), key) != kBatchSizes.end();
  };
  const std::string other = first_difference(stored.settings, own.settings, std::not_fn(is_batch));
  if (!other.empty()) refuse(path, opening, other, kAdvice);
  const std::string batch = first_difference(stored.settings, own.settings, is_batch);
  if (!batch.empty() && opening == StoreOpening::kNew) {
    refuse(path, opening, batch, "use --resume to continue with the new one, or give another --out");
  }
}

/// If the cases differ, the options that loaded them explain it; if these are equal, the data changed.
void check_cases(Database& database, const fs::path& path, const RunIdentity& stored, const RunIdentity& own,
                 const CaseTable& table, StoreOpening opening) {
  if (read_table_digest(database, path) == table_digest(table)) return;
  const bool is_told = !stored.data.empty() && !own.data.empty();
  std::string reason =
      is_told ? first_difference(stored.data, own.data, [](const std::string&) { return true; }) : "";
  if (reason.empty()) {
    const auto count = [&](const char* name) {
      return database.integer(fmt::format("SELECT count(*) FROM {}", name));
    };
    reason = fmt::format(
        "its table of cases (data, --limit) has {} cases, {} images and {} captions, this run's has {}, {} "
        "and "
        "{}, or others",
        count("eval_case"), count("image"), count("caption"), table.cases.size(), table.images.size(),
        table.captions.size());
  }
  refuse(path, opening, reason, kAdvice);
}

}  // namespace

void create_store(const fs::path& path, const RunIdentity& identity, const CaseTable& table) {
  const fs::path temporary = temporary_path(path);
  std::error_code ignored;
  fs::remove(temporary, ignored);
  // SQLite would take leftover files of a deleted store for this store's log.
  for (const char* suffix : {"-wal", "-shm"}) fs::remove(path.string() + suffix, ignored);
  try {
    write_empty_store(temporary, identity, table);
    std::error_code error;
    fs::rename(temporary, path, error);
    if (error) {
      const bool full = error == std::errc::no_space_on_device || error == std::errc::io_error;
      throw Error(
          full ? ExitCode::kRuntime : ExitCode::kInput,
          fmt::format("{}: cannot be created: {}; {}", path.string(), error.message(),
                      full ? "free some space and run again" : "choose a folder that can be written"));
    }
    remove_leftovers(path);
  } catch (...) {
    for (const char* suffix : {"", "-journal"}) fs::remove(temporary.string() + suffix, ignored);
    throw;
  }
}

std::string read_table_digest(Database& database, const fs::path& path) {
  return header_value(database, path, "table_sha256");
}

RunIdentity read_identity(Database& database, const fs::path& path) {
  RunIdentity identity{.scorer = header_value(database, path, "scorer"),
                       .benchmark = header_value(database, path, "benchmark"),
                       .model_name = header_value(database, path, "model"),
                       .model_sha256 = header_value(database, path, "model_sha256"),
                       .settings = {}};
  StoredRows settings(database, path, "setting", "SELECT key, value FROM setting ORDER BY position");
  while (settings.step()) identity.settings.emplace_back(settings.text(0), settings.text(1));
  StoredRows data(database, path, "run", "SELECT key, value FROM run");
  while (data.step()) {
    const std::string key = data.text(0);
    if (key.starts_with(kDataKey)) identity.data.emplace_back(key.substr(kDataKey.size()), data.text(1));
  }
  return identity;
}

void check_format(Database& database, const fs::path& path) {
  const std::int64_t application = database.integer("PRAGMA application_id");
  if (application != kApplicationId) {
    throw input_error("{}: is not a score store of sdsclip (application id {}, expected {}); {}",
                      path.string(), application, kApplicationId, kAdvice);
  }
  const std::int64_t version = database.integer("PRAGMA user_version");
  if (version != kSchemaVersion) {
    throw input_error("{}: is a score store of version {}, expected {}; {}", path.string(), version,
                      kSchemaVersion, kAdvice);
  }
  const std::string damage = database.text("PRAGMA quick_check(1)");
  if (damage != "ok") throw input_error("{}: is damaged ({}); {}", path.string(), damage, kAdvice);
  check_tables(database, path);
}

// A truncated file can pass SQLite's own check if only the unused end of its last page is missing. With a log
// beside it the file may legitimately be shorter: the log has the missing pages.
void check_length(const fs::path& path) {
  std::error_code ignored;
  const std::uintmax_t log_bytes = fs::file_size(path.string() + "-wal", ignored);
  if (!ignored && log_bytes > 0) return;
  const FileReader file(path);  // refuses a pipe or a device, which would block SQLite
  std::array<unsigned char, 32> header{};
  const std::string start = file.read(0, std::min<std::uint64_t>(header.size(), file.size()));
  std::memcpy(header.data(), start.data(), start.size());
  // SQLite's file format, sections 1.3.2 and 1.3.9: big-endian, a page size of 1 stands for 65,536.
  if (std::memcmp(header.data(), "SQLite format 3", 16) != 0) return;  // opening it reports the error
  const std::uint32_t page_size = (header[16] << 8U) | header[17];
  std::uint32_t pages = 0;
  for (std::size_t i = 28; i < 32; ++i) pages = (pages << 8U) | header[i];
  const std::uintmax_t expected = std::uintmax_t{page_size == 1 ? 65'536 : page_size} * pages;
  if (file.size() < expected) {
    throw input_error("{}: is damaged: {} bytes long, expected {}; {}", path.string(), file.size(), expected,
                      kAdvice);
  }
}

void check_store(Database& database, const fs::path& path, const RunIdentity& identity,
                 const CaseTable& table, StoreOpening opening) {
  check_format(database, path);
  const RunIdentity stored = read_identity(database, path);
  check_identity(path, stored, identity, opening);
  check_cases(database, path, stored, identity, table, opening);
}

}  // namespace sdsclip

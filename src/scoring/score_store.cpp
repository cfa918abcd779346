#include "sdsclip/scoring/score_store.h"

#include <limits>

#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sqlite.h"
#include "store_file.h"
#include "stored_rows.h"

namespace sdsclip {
namespace {

const char* name_of(EmbeddingKind kind) {
  return kind == EmbeddingKind::kImage ? "image" : "text";
}

/// The number of matches of cases that need every caption of the table; it grows with the square of the data.
std::int64_t whole_table_matches(const CaseTable& table) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < table.cases.size(); ++i) {
    if (!table.cases[i].captions.empty()) continue;
    count += static_cast<std::int64_t>(table.cases[i].images.size()) * table.caption_count(i);
  }
  return count;
}

}  // namespace

class ScoreStore::Implementation {
 public:
  Implementation(const fs::path& file, const CaseTable& table)
      : path(file),
        database(file, Database::Mode::kExisting),
        image_count(static_cast<std::int64_t>(table.images.size())),
        text_count(static_cast<std::int64_t>(unique_texts(table).texts.size())) {}

  StoredRows rows(std::string table, std::string_view sql) const {
    return StoredRows(database, path, std::move(table), sql);
  }

  void add_work(const WorkCounters& work) {
    database
        .prepare(
            "UPDATE work SET unet_evaluations = unet_evaluations + ?, vae_encodings = vae_encodings + ?, "
            "text_encodings = text_encodings + ?, image_encodings = image_encodings + ?, seconds = seconds + "
            "?")
        .run(work.unet_evaluations, work.vae_encodings, work.text_encodings, work.image_encodings,
             work.seconds);
  }

  void insert_embeddings(EmbeddingKind kind, std::int64_t unit, std::span<const float> values) {
    database.prepare("INSERT INTO embedding VALUES (?, ?, ?)")
        .run(std::string_view(name_of(kind)), unit, std::as_bytes(values));
  }

  void change_setting(const std::string& key, const std::string& value) {
    database.prepare("UPDATE setting SET value = ? WHERE key = ?")
        .run(std::string_view(value), std::string_view(key));
  }

  fs::path path;
  mutable Database database;
  std::int64_t image_count;
  std::int64_t text_count;
  RunIdentity identity;
};

ScoreStore::ScoreStore(const fs::path& path, const RunIdentity& identity, const CaseTable& table,
                       StoreOpening opening) {
  const bool is_new = !is_there(path);
  if (is_new && opening == StoreOpening::kJudge) {
    throw input_error("{}: no such file; --judge-only needs the scores of an earlier run", path.string());
  }
  if (is_new) create_store(path, identity, table);
  check_length(path);
  implementation_ = std::make_unique<Implementation>(path, table);
  Database& database = implementation_->database;
  check_store(database, path, identity, table, opening);
  implementation_->identity = read_identity(database, path);
  database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
}

ScoreStore::~ScoreStore() = default;
ScoreStore::ScoreStore(ScoreStore&&) noexcept = default;
ScoreStore& ScoreStore::operator=(ScoreStore&&) noexcept = default;

const RunIdentity& ScoreStore::identity() const {
  return implementation_->identity;
}

const fs::path& ScoreStore::path() const {
  return implementation_->path;
}

std::optional<std::int64_t> ScoreStore::choice(const std::string& key) const {
  StoredRows query = implementation_->rows("choice", "SELECT value FROM choice WHERE key = ?");
  query.start(key, std::string_view(key));
  if (!query.step()) return std::nullopt;
  return query.integer(0, 1, kMostCounted);
}

void ScoreStore::keep_choice(const std::string& key, std::int64_t value) {
  implementation_->database.prepare("INSERT OR REPLACE INTO choice VALUES (?, ?)")
      .run(std::string_view(key), value);
}

void ScoreStore::write_embeddings(EmbeddingKind kind, std::int64_t unit, std::span<const float> values,
                                  const WorkCounters& work) {
  Transaction transaction(implementation_->database);
  implementation_->insert_embeddings(kind, unit, values);
  implementation_->add_work(work);
  transaction.commit();
}

void ScoreStore::change_setting(const std::string& key, const std::string& value) {
  implementation_->change_setting(key, value);
  implementation_->identity = read_identity(implementation_->database, path());
}

void ScoreStore::replace_embeddings(EmbeddingKind kind,
                                    std::span<const std::pair<std::int64_t, std::vector<float>>> units,
                                    const std::string& key, const std::string& value) {
  Transaction transaction(implementation_->database);
  implementation_->database.prepare("DELETE FROM embedding WHERE kind = ?")
      .run(std::string_view(name_of(kind)));
  for (const auto& [unit, values] : units) implementation_->insert_embeddings(kind, unit, values);
  implementation_->change_setting(key, value);
  transaction.commit();
  implementation_->identity = read_identity(implementation_->database, path());
}

std::set<std::int64_t> ScoreStore::embedding_units(EmbeddingKind kind) const {
  std::set<std::int64_t> units;
  StoredRows query = implementation_->rows("embedding", "SELECT unit FROM embedding WHERE kind = ?");
  query.start("", std::string_view(name_of(kind)));
  while (query.step()) units.insert(query.integer(0, 0, kMostCounted));
  return units;
}

std::vector<float> ScoreStore::read_embeddings(EmbeddingKind kind, std::int64_t unit,
                                               std::int64_t elements) const {
  StoredRows query =
      implementation_->rows("embedding", "SELECT data FROM embedding WHERE kind = ? AND unit = ?");
  query.start(fmt::format("{} {}", name_of(kind), unit), std::string_view(name_of(kind)), unit);
  if (!query.step()) {
    throw input_error("{}: unit {} of the {} embeddings is missing; run again with --resume to complete it",
                      path().string(), unit, name_of(kind));
  }
  return query.floats(0, elements);
}

void ScoreStore::write_sample_points(std::span<const SamplePoint> points) {
  const std::vector<SamplePoint> stored = read_sample_points();
  for (std::size_t k = 0; k < std::min(stored.size(), points.size()); ++k) {
    if (stored[k] == points[k]) continue;
    throw input_error(
        "{}: belongs to another run: its sample {} is at timestep {}, this run's at {}; give another "
        "--out",
        path().string(), k, stored[k].timestep, points[k].timestep);
  }
  Transaction transaction(implementation_->database);
  Statement insert = implementation_->database.prepare("INSERT INTO sample_point VALUES (?, ?, ?)");
  for (std::size_t k = stored.size(); k < points.size(); ++k) {
    insert.run(static_cast<std::int64_t>(k), points[k].timestep, points[k].alpha_cumprod);
  }
  transaction.commit();
}

std::vector<SamplePoint> ScoreStore::read_sample_points() const {
  std::vector<SamplePoint> points;
  const std::int64_t timesteps = choice(kTrainTimestepsChoice).value_or(kMostTrainTimesteps);
  StoredRows query = implementation_->rows(
      "sample_point", "SELECT sample, timestep, alpha_cumprod FROM sample_point ORDER BY sample");
  while (query.step()) {
    const std::int64_t sample = static_cast<std::int64_t>(points.size());
    (void)query.integer(0, sample, sample);  // throws if one is missing
    points.push_back({.timestep = query.index(1, timesteps), .alpha_cumprod = query.real(2, 0, 1)});
  }
  return points;
}

void ScoreStore::write_errors(std::span<const SampleErrorRow> rows, const WorkCounters& work) {
  Transaction transaction(implementation_->database);
  Statement insert = implementation_->database.prepare("INSERT INTO error VALUES (?, ?, ?, ?, ?)");
  for (const SampleErrorRow& row : rows) insert.run(row.image, row.text, row.sample, row.error, row.error_l1);
  implementation_->add_work(work);
  transaction.commit();
}

std::vector<SampleErrorRow> ScoreStore::read_errors() const {
  std::vector<SampleErrorRow> rows;
  rows.reserve(static_cast<std::size_t>(implementation_->database.integer("SELECT count(*) FROM error")));
  StoredRows query = implementation_->rows(
      "error",
      "SELECT image_id, text_id, sample, error, error_l1 FROM error ORDER BY image_id, text_id, sample");
  while (query.step()) {
    rows.push_back({.image = query.index(0, implementation_->image_count),
                    .text = query.index(1, implementation_->text_count),
                    .sample = query.index(2, kMostCounted),
                    .error = query.real(3, 0, kLargestError),
                    .error_l1 = query.real(4, 0, kLargestError)});
  }
  return rows;
}

void ScoreStore::write_scores(const CaseTable& table, const CaseScores& scores) {
  const std::int64_t rows = whole_table_matches(table);
  if (rows > kMaxScoreRows) {
    log_info(
        "{}: the view pair_score stays empty: {} pairs of an image with every caption are more than {}; the "
        "embeddings or errors are stored",
        path().string(), rows, kMaxScoreRows);
    return;
  }
  Transaction transaction(implementation_->database);
  implementation_->database.execute("DELETE FROM score");
  Statement insert = implementation_->database.prepare("INSERT INTO score VALUES (?, ?, ?, ?)");
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::vector<std::int32_t>& images = table.cases[index].images;
    for (std::size_t row = 0; row < images.size(); ++row) {
      const std::span<const double> values = scores.row(index, static_cast<std::int64_t>(row));
      for (std::size_t column = 0; column < values.size(); ++column) {
        insert.run(static_cast<std::int64_t>(index), images[row],
                   table.caption_at(index, static_cast<std::int64_t>(column)), values[column]);
      }
    }
  }
  transaction.commit();
}

void ScoreStore::write_marks(std::span<const MetricMarks> marks) {
  Transaction transaction(implementation_->database);
  implementation_->database.execute("DELETE FROM mark");
  Statement insert = implementation_->database.prepare("INSERT INTO mark VALUES (?, ?, ?, ?)");
  for (const MetricMarks& metric : marks) {
    for (std::size_t i = 0; i < metric.mark.size(); ++i) {
      const std::int32_t group = metric.group.empty() ? kNoMacroGroup : metric.group[i];
      insert.run(std::string_view(metric.name), metric.case_index[i], metric.mark[i], group);
    }
  }
  transaction.commit();
}

bool ScoreStore::has_marks() const {
  return implementation_->database.integer("SELECT count(*) FROM (SELECT 1 FROM mark LIMIT 1)") > 0;
}

void ScoreStore::flush() {
  implementation_->database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

WorkCounters ScoreStore::work() const {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  StoredRows query = implementation_->rows(
      "work", "SELECT unet_evaluations, vae_encodings, text_encodings, image_encodings, seconds FROM work");
  if (!query.step()) throw input_error("{}: is damaged: table work is empty", path().string());
  return {.unet_evaluations = query.integer(0, 0, kMost),
          .vae_encodings = query.integer(1, 0, kMost),
          .text_encodings = query.integer(2, 0, kMost),
          .image_encodings = query.integer(3, 0, kMost),
          .seconds = query.real(4, 0, kMostSeconds)};
}

}  // namespace sdsclip

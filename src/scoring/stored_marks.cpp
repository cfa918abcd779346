#include "sdsclip/scoring/stored_marks.h"

#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "store_file.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

std::vector<MetricMarks> read_marks(Database& database) {
  std::vector<MetricMarks> metrics;
  // Rows of one metric follow one another, because they were written so.
  Statement rows = database.prepare("SELECT metric, case_id, mark, macro_group FROM mark ORDER BY rowid");
  while (rows.step()) {
    const std::string name = rows.text(0);
    if (metrics.empty() || metrics.back().name != name) {
      metrics.push_back({.name = name, .case_index = {}, .mark = {}, .group = {}, .ties = 0});
    }
    MetricMarks& metric = metrics.back();
    metric.case_index.push_back(static_cast<std::int32_t>(rows.integer(1)));
    metric.mark.push_back(rows.real(2));
    const std::int32_t group = static_cast<std::int32_t>(rows.integer(3));
    if (group != kNoMacroGroup) metric.group.push_back(group);
  }
  return metrics;
}

}  // namespace

StoredMarks read_stored_marks(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    throw input_error("{}: no such file; expected the store of a finished scoring run", path.string());
  }
  check_length(path);
  Database database(path, Database::Mode::kExisting);
  check_format(database, path);
  const RunIdentity identity = read_identity(database);
  StoredMarks stored{.scorer = identity.scorer,
                     .benchmark = identity.benchmark,
                     .model_name = identity.model_name,
                     .table_sha256 = read_table_digest(database),
                     .metrics = read_marks(database)};
  if (stored.metrics.empty()) {
    throw input_error("{}: the run was not finished and has no marks; complete it by --resume",
                      path.string());
  }
  return stored;
}

}  // namespace sdsclip

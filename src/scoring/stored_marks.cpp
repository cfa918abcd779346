#include "sdsclip/scoring/stored_marks.h"

#include <set>

#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "store_file.h"
#include "stored_rows.h"

namespace sdsclip {
namespace {

std::vector<MetricMarks> read_marks(Database& database, const fs::path& path) {
  const std::int64_t cases = database.integer("SELECT count(*) FROM eval_case");
  std::vector<MetricMarks> metrics;
  std::set<std::string> seen;
  // Rows of one metric are consecutive, because they were written so.
  StoredRows rows(database, path, "mark",
                  "SELECT metric, case_id, mark, macro_group FROM mark ORDER BY rowid");
  while (rows.step()) {
    const std::string name = rows.text(0);
    if (metrics.empty() || metrics.back().name != name) {
      if (!seen.insert(name).second) {
        rows.refuse(0, fmt::format("{} once more", name), "one metric's rows to follow one another");
      }
      metrics.push_back({.name = name, .ties = 0});
    }
    MetricMarks& metric = metrics.back();
    const bool is_first = metric.mark.empty();
    const bool is_macro =
        is_first ? rows.integer(3, kNoMacroGroup, kMostCounted) >= 0 : !metric.group.empty();
    metric.case_index.push_back(rows.index(1, cases));
    const double mark = rows.real(2, 0, 1);
    if (mark != 0 && mark != 1) rows.refuse(2, fmt::format("{}", mark), "0 or 1");
    metric.mark.push_back(mark);
    // Either all marks of a metric have a group, or none has.
    if (is_macro) {
      metric.group.push_back(static_cast<std::int32_t>(rows.integer(3, 0, kMostCounted)));
    } else {
      (void)rows.integer(3, kNoMacroGroup, kNoMacroGroup);
    }
  }
  return metrics;
}

}  // namespace

StoredMarks read_stored_marks(const fs::path& path) {
  if (!is_there(path)) {
    throw input_error("{}: no such file; expected the store of a finished scoring run", path.string());
  }
  check_length(path);
  Database database(path, Database::Mode::kExisting);
  check_format(database, path);
  const RunIdentity identity = read_identity(database, path);
  StoredMarks stored{.scorer = identity.scorer,
                     .benchmark = identity.benchmark,
                     .model_name = identity.model_name,
                     .table_sha256 = read_table_digest(database, path),
                     .metrics = read_marks(database, path)};
  if (stored.metrics.empty()) {
    throw input_error("{}: the run was not finished and has no marks; complete it with --resume",
                      path.string());
  }
  return stored;
}

}  // namespace sdsclip

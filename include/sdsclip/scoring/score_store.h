#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/base/work_counters.h"
#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

/// What identifies a run. Only a store with an equal identity is continued.
struct RunIdentity {
  std::string scorer;        ///< `clip` or `diffusion`
  std::string benchmark;     ///< its name on the command line
  std::string model_name{};  ///< the name in `bundle.json`; empty if stored scores are judged without a model
  std::string model_sha256{};  ///< digest of the weights that ran, with tuned ones
  std::vector<std::pair<std::string, std::string>> settings{};  ///< every option that changes a stored value
  /// The options that the case table was loaded with. They are not compared, since the table itself is. If
  /// the table differs, they tell which option changed it.
  std::vector<std::pair<std::string, std::string>> data{};
};

/// The timestep of sample k of the diffusion score.
struct SamplePoint {
  std::int64_t timestep = 0;
  double alpha_cumprod = 0;  ///< at that timestep: the noise level, for weights without the model
  bool operator==(const SamplePoint&) const = default;
};

/// The error of one sample of the diffusion score.
struct SampleErrorRow {
  std::int32_t image = 0;   ///< row of `CaseTable::images`
  std::int32_t text = 0;    ///< row of `TextTable::texts`
  std::int32_t sample = 0;  ///< k: row of `read_sample_points()`
  double error = 0;         ///< sum over the latent of (eps_hat - eps)^2
  double error_l1 = 0;      ///< sum over the latent of |eps_hat - eps|
};

enum class EmbeddingKind { kImage, kText };

/// How a run opens its store.
enum class StoreOpening {
  kNew,     ///< creates the store, or continues one of the same run
  kResume,  ///< the same, but batch sizes may differ, in case memory was too small for the old ones
  kJudge    ///< opens an existing store; of the identity, only scorer and benchmark must agree
};

/// `scores.sqlite`: everything that a scoring run computed. Scores, metrics, intervals and curves follow from
/// it without the model.
///
/// Views for users: `pair_score(case_id, image, caption, score)` once the run is complete,
/// `case_mark(case_id, metric, mark)`, and for a diffusion run `sample_error(image, caption, timestep,
/// sample, error, error_l1)`. `pair_score` is empty if images are compared with every caption of the table
/// and make more than `kMaxScoreRows` pairs; the embeddings or errors are stored. Images, captions and texts
/// are stored once and referred to by number.
///
/// Results arrive in units. Each unit is one transaction of a write-ahead log, so a process killed at any
/// moment loses at most the current unit. The file itself appears whole, with its header.
///
/// All functions throw `Error(kRuntime)` on a full disk and `Error(kInput)` on a damaged file: values are
/// checked against the case table, and the error names table, row and column.
class ScoreStore {
 public:
  static constexpr std::int64_t kMaxScoreRows = 2'000'000;

  /// Throws `Error(kInput)` if the file is not a score store, is damaged or has another schema version.
  /// Throws `Error(kUsage)` that names the setting and both values if it belongs to another run or case table
  /// (`Error(kInput)` for `kJudge`).
  ScoreStore(const fs::path& path, const RunIdentity& identity, const CaseTable& table, StoreOpening opening);
  ~ScoreStore();
  ScoreStore(ScoreStore&&) noexcept;
  ScoreStore& operator=(ScoreStore&&) noexcept;

  /// The identity stored in the file.
  [[nodiscard]] const RunIdentity& identity() const;
  [[nodiscard]] const fs::path& path() const;

  /// A choice of `auto` that a resumed run must repeat, such as the micro-batch: a count of 1 or more.
  [[nodiscard]] std::optional<std::int64_t> choice(const std::string& key) const;
  void keep_choice(const std::string& key, std::int64_t value);

  /// Changes a setting of the identity: a batch size with which a resumed run continues.
  void change_setting(const std::string& key, const std::string& value);

  /// Unit `unit` of the images' or the texts' embeddings: f32[rows, dim], not of unit norm.
  void write_embeddings(EmbeddingKind kind, std::int64_t unit, std::span<const float> values,
                        const WorkCounters& work);
  /// Replaces all units of that kind by `units`, as a run with batch size `value` would have written them,
  /// and sets `key` to `value`. Changes all or nothing.
  void replace_embeddings(EmbeddingKind kind,
                          std::span<const std::pair<std::int64_t, std::vector<float>>> units,
                          const std::string& key, const std::string& value);
  [[nodiscard]] std::set<std::int64_t> embedding_units(EmbeddingKind kind) const;
  /// Reads a unit. `elements` is the expected number of floats; 0: any number.
  [[nodiscard]] std::vector<float> read_embeddings(EmbeddingKind kind, std::int64_t unit,
                                                   std::int64_t elements = 0) const;

  /// Adds those of the samples 0 to `points.size() - 1` that are missing. Throws `Error(kInput)` if one
  /// differs from the stored sample.
  void write_sample_points(std::span<const SamplePoint> points);
  [[nodiscard]] std::vector<SamplePoint> read_sample_points() const;

  /// Adds one unit of errors of the diffusion score.
  void write_errors(std::span<const SampleErrorRow> rows, const WorkCounters& work);
  /// All errors, ordered by image, text and sample.
  [[nodiscard]] std::vector<SampleErrorRow> read_errors() const;

  /// Replaces the content of `pair_score`.
  void write_scores(const CaseTable& table, const CaseScores& scores);
  /// Replaces the marks in `case_mark`, which `read_stored_marks` reads.
  void write_marks(std::span<const MetricMarks> marks);
  /// Whether the run was judged.
  [[nodiscard]] bool has_marks() const;

  /// Writes SQLite's log into the file, so that the file can be copied on its own. Closing does the same, but
  /// cannot report a failure.
  void flush();

  /// The work of all units, including those from before a resume.
  [[nodiscard]] WorkCounters work() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip

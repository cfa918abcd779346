#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

/// What a run computed. Added up in the store unit by unit, so that a resumed run tells the whole.
struct ScoringWork {
  std::int64_t unet_evaluations = 0;  ///< latents through the UNet, padding included
  std::int64_t vae_encodings = 0;     ///< images through the VAE
  std::int64_t text_encodings = 0;    ///< texts through CLIP's or the teacher's text encoder
  std::int64_t image_encodings = 0;   ///< images through CLIP's image encoder
  double seconds = 0;                 ///< wall clock of the scoring loop
};
ScoringWork& operator+=(ScoringWork& total, const ScoringWork& part);
ScoringWork operator-(const ScoringWork& a, const ScoringWork& b);

/// What makes two runs the same run: only a store with an equal identity is continued.
struct RunIdentity {
  std::string scorer;          ///< `clip` or `diffusion`
  std::string benchmark;       ///< as on the command line
  std::string model_name{};    ///< as in its `bundle.json`; empty where stored scores are judged without one
  std::string model_sha256{};  ///< of the weights that ran, tuned ones included
  std::vector<std::pair<std::string, std::string>> settings{};  ///< every option that changes a stored value
  /// What the case table was loaded from. It is not compared, since the table itself is; where that differs,
  /// it says which option does.
  std::vector<std::pair<std::string, std::string>> data{};
};

/// The texts behind a table's captions, each once, in order of appearance.
struct TextTable {
  std::vector<std::string> texts;                     ///< the captions' texts, and the empty text
  std::vector<std::vector<std::int32_t>> of_caption;  ///< rows of `texts` for each caption of the table
  std::int32_t unconditional = 0;  ///< row of the empty text, the last one where no caption has it
  std::int32_t caption_texts = 0;  ///< so many first rows are texts of captions
};
TextTable unique_texts(const CaseTable& table);

/// Where sample k of the diffusion score lies.
struct SamplePoint {
  std::int64_t timestep = 0;
  double alpha_cumprod = 0;  ///< of that timestep: the noise level, for weights without the model
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

/// How a run meets a store that is, or is not, there.
enum class StoreOpening {
  kNew,     ///< created, or continued where it is of the same run
  kResume,  ///< the same; the batch sizes may be others, since memory may have been too small for the old
            ///< ones
  kJudge    ///< must be there; of the identity only scorer and benchmark are compared
};

/// `scores.sqlite`: everything that a scoring run computed, from which scores, metrics, intervals and curves
/// follow without the model.
///
/// Views for users: `pair_score(case_id, image, caption, score)` once the run is complete (empty where
/// images are compared with every caption of the table and make more than `kMaxScoreRows` pairs; the
/// embeddings or errors are there), `case_mark(case_id, metric, mark)`, and for a diffusion run
/// `sample_error(image, caption, timestep, sample, error, error_l1)`. Images, captions and texts are stored
/// once and referred to by number.
///
/// Results arrive in units, each one transaction of a write-ahead log: a process killed at any moment loses
/// at most the unit that it was computing. The file itself appears whole, with its header.
///
/// All functions throw `Error(kRuntime)` on a full disk, `Error(kInput)` on a damaged file: what is read is
/// compared with what the case table allows, and the error names table, row and column.
class ScoreStore {
 public:
  static constexpr std::int64_t kMaxScoreRows = 2'000'000;

  /// Throws `Error(kInput)` where the file is no score store, is damaged or has another schema version;
  /// `Error(kUsage)` that names the setting and both values where it belongs to another run or case table
  /// (`Error(kInput)` for `kJudge`).
  ScoreStore(const std::filesystem::path& path, const RunIdentity& identity, const CaseTable& table,
             StoreOpening opening);
  ~ScoreStore();
  ScoreStore(ScoreStore&&) noexcept;
  ScoreStore& operator=(ScoreStore&&) noexcept;

  /// The identity that the file states.
  [[nodiscard]] const RunIdentity& identity() const;
  [[nodiscard]] const std::filesystem::path& path() const;

  /// A choice that `auto` made and that a resumed run must repeat, such as the micro-batch: a count, 1 or
  /// more.
  [[nodiscard]] std::optional<std::int64_t> choice(const std::string& key) const;
  void keep_choice(const std::string& key, std::int64_t value);

  /// Changes a setting of the identity: a batch size that a resumed run goes on with.
  void change_setting(const std::string& key, const std::string& value);

  /// Unit `unit` of the images' or the texts' embeddings: f32[rows, dim], not of unit norm.
  void write_embeddings(EmbeddingKind kind, std::int64_t unit, std::span<const float> values,
                        const ScoringWork& work);
  /// Puts `units` in the place of all units of that kind, as a run of the batch size `value` would have
  /// written them, and changes the setting `key` to it: all or nothing.
  void replace_embeddings(EmbeddingKind kind,
                          std::span<const std::pair<std::int64_t, std::vector<float>>> units,
                          const std::string& key, const std::string& value);
  [[nodiscard]] std::set<std::int64_t> embedding_units(EmbeddingKind kind) const;
  /// `elements`: how many floats there must be; 0: any number.
  [[nodiscard]] std::vector<float> read_embeddings(EmbeddingKind kind, std::int64_t unit,
                                                   std::int64_t elements = 0) const;

  /// The samples k from 0 on. Adds those that are missing; one that differs from the stored one is an
  /// `Error(kInput)`.
  void write_sample_points(std::span<const SamplePoint> points);
  [[nodiscard]] std::vector<SamplePoint> read_sample_points() const;

  /// One unit of the diffusion score.
  void write_errors(std::span<const SampleErrorRow> rows, const ScoringWork& work);
  /// Ordered by image, text and sample.
  [[nodiscard]] std::vector<SampleErrorRow> read_errors() const;

  /// Replaces what `pair_score` shows.
  void write_scores(const CaseTable& table, const CaseScores& scores);
  /// Replaces the marks that `case_mark` shows and `read_stored_marks` gives back.
  void write_marks(std::span<const MetricMarks> marks);
  /// Whether the run was judged.
  [[nodiscard]] bool has_marks() const;

  /// Brings what SQLite still has in its log into the file itself, which may then be copied alone. Closing does
  /// that too, but cannot say that it failed.
  void flush();

  /// All units' work, of this and of earlier lives of the run.
  [[nodiscard]] ScoringWork work() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// How many (case, image, caption) scores the cases ask for: the matches that "time a match" divides by.
std::int64_t match_count(const CaseTable& table);

}  // namespace sdsclip

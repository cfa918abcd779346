#pragma once

#include <cstdint>

namespace sdsclip {

inline constexpr std::int64_t kApplicationId = 0x53445343;  // "SDSC", in the SQLite header
inline constexpr std::int64_t kSchemaVersion = 2;
inline constexpr std::int32_t kNoMacroGroup = -1;  // in `mark`: the metric is a plain mean

/// `choice` of a diffusion run: the latent's size, by which a score is divided for a mean over the latent.
inline constexpr const char* kLatentElementsChoice = "latent_elements";
/// `choice` of a diffusion run: the teacher's number of timesteps.
inline constexpr const char* kTrainTimestepsChoice = "train_timesteps";
/// `choice` of a CLIP run: the embedding size.
inline constexpr const char* kEmbedDimChoice = "embed_dim";

/// The limit if a store or a file of weights does not state the teacher's number.
inline constexpr std::int64_t kMostTrainTimesteps = 1'000'000;

/// Larger than any sum of squares of 2^31 float32 numbers; sums of so many errors are still finite.
inline constexpr double kLargestError = 1e90;
inline constexpr double kMostSeconds = 1e10;  // three hundred years

/// The tables and views of `scores.sqlite`.
inline constexpr const char* kScoreSchema = R"sql(
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE setting (position INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE choice (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE work (unet_evaluations INTEGER NOT NULL, vae_encodings INTEGER NOT NULL,
  text_encodings INTEGER NOT NULL, image_encodings INTEGER NOT NULL, seconds REAL NOT NULL);
INSERT INTO work VALUES (0, 0, 0, 0, 0.0);

-- The case table: rows are numbered as in the run.
CREATE TABLE image (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE caption (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE eval_case (id INTEGER PRIMARY KEY, name TEXT NOT NULL);

-- What was computed. `embedding` rows are units: float32, little-endian, row after row.
CREATE TABLE embedding (kind TEXT NOT NULL, unit INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (kind, unit)) WITHOUT ROWID;
CREATE TABLE sample_point (sample INTEGER PRIMARY KEY, timestep INTEGER NOT NULL, alpha_cumprod REAL NOT NULL);
CREATE TABLE error (image_id INTEGER NOT NULL, text_id INTEGER NOT NULL, sample INTEGER NOT NULL,
  error REAL NOT NULL, error_l1 REAL NOT NULL, PRIMARY KEY (image_id, text_id, sample)) WITHOUT ROWID;

-- What follows from it.
CREATE TABLE score (case_id INTEGER NOT NULL, image_id INTEGER NOT NULL, caption_id INTEGER NOT NULL,
  score REAL NOT NULL);
-- In the order in which they were judged; `macro_group` is -1 where the metric is a plain mean.
CREATE TABLE mark (metric TEXT NOT NULL, case_id INTEGER NOT NULL, mark REAL NOT NULL, macro_group INTEGER NOT NULL);

CREATE VIEW pair_score AS
  SELECT eval_case.name AS case_id, image.name AS image, caption.name AS caption, score.score AS score
  FROM score JOIN eval_case ON eval_case.id = score.case_id JOIN image ON image.id = score.image_id
    JOIN caption ON caption.id = score.caption_id;
CREATE VIEW case_mark AS
  SELECT eval_case.name AS case_id, mark.metric AS metric, mark.mark AS mark
  FROM mark JOIN eval_case ON eval_case.id = mark.case_id;
CREATE VIEW sample_error AS
  SELECT image.name AS image, text.text AS caption, sample_point.timestep AS timestep,
    error.sample AS sample, error.error AS error, error.error_l1 AS error_l1
  FROM error JOIN image ON image.id = error.image_id JOIN text ON text.id = error.text_id
    JOIN sample_point ON sample_point.sample = error.sample;
)sql";

}  // namespace sdsclip

#include "sdsclip/scoring/rank_targets.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string_view>

#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "sqlite.h"
#include "store_file.h"
#include "stored_rows.h"

namespace sdsclip {
namespace {

constexpr const char* kCommand = "sdsclip diffusion-score captions";

fs::path store_path(const fs::path& run_or_store) {
  std::error_code ignored;
  fs::path path = fs::is_directory(run_or_store, ignored) ? run_or_store / "scores.sqlite" : run_or_store;
  if (!is_there(path)) {
    throw input_error("{}: no such file; expected the run folder of '{}'", path.string(), kCommand);
  }
  check_length(path);
  return path;
}

Database open_target_store(const fs::path& path) {
  Database database(path, Database::Mode::kRead);
  check_format(database, path);
  const RunIdentity identity = read_identity(database, path);
  if (identity.scorer != "diffusion" || identity.benchmark != "captions") {
    throw input_error("{}: holds {} scores of '{}', expected those of '{}'", path.string(), identity.scorer,
                      identity.benchmark, kCommand);
  }
  if (database.integer("SELECT count(*) FROM (SELECT 1 FROM score LIMIT 1)") == 0) {
    throw input_error("{}: the run was not finished and has no scores; complete it with --resume",
                      path.string());
  }
  return database;
}

double latent_elements(Database& database, const fs::path& path) {
  StoredRows query(database, path, "choice", "SELECT value FROM choice WHERE key = ?");
  query.start(kLatentElementsChoice, std::string_view(kLatentElementsChoice));
  if (!query.step()) {
    throw input_error(
        "{}: does not say how many elements the teacher's latent has; run it again with --resume",
        path.string());
  }
  return static_cast<double>(query.integer(0, 1, kMostCounted));
}

std::uint64_t hash_of(std::string_view text) {
  return std::hash<std::string_view>()(text);
}

std::uint64_t pair_hash(std::uint64_t image, std::uint64_t caption) {
  return image ^ (caption * 0x9E3779B97F4A7C15ULL);  // an odd factor is invertible and mixes the two
}

/// The hashes of a table's names, in the order of their numbers.
std::vector<std::uint64_t> hashes_of(Database& database, const fs::path& path, const std::string& table) {
  std::vector<std::uint64_t> hashes;
  StoredRows names(database, path, table, fmt::format("SELECT id, name FROM {} ORDER BY id", table));
  while (names.step()) {
    const std::int64_t id = static_cast<std::int64_t>(hashes.size());
    (void)names.integer(0, id, id);  // throws if an id is missing
    hashes.push_back(hash_of(names.text(1)));
  }
  return hashes;
}

/// The row of a pair's first score. The scores of a case are consecutive, with the own caption's first,
/// because they were written so.
struct PairPlace {
  std::uint64_t hash = 0;  // of image and own caption
  std::int64_t first_row = 0;
  bool operator<(const PairPlace& other) const { return hash < other.hash; }
};

/// Reads every score once, so that damage is found before the first step.
std::vector<PairPlace> index_pairs(Database& database, const fs::path& path) {
  const std::vector<std::uint64_t> images = hashes_of(database, path, "image");
  const std::vector<std::uint64_t> captions = hashes_of(database, path, "caption");
  const std::int64_t cases = database.integer("SELECT count(*) FROM eval_case");
  std::vector<PairPlace> places;
  std::int64_t last_case = -1;
  StoredRows scores(database, path, "score",
                    "SELECT rowid, case_id, image_id, caption_id, score FROM score ORDER BY rowid");
  while (scores.step()) {
    const std::int64_t case_id = scores.index(1, cases);
    const std::int32_t image = scores.index(2, static_cast<std::int64_t>(images.size()));
    const std::int32_t caption = scores.index(3, static_cast<std::int64_t>(captions.size()));
    (void)scores.real(4);
    if (case_id == last_case) continue;
    last_case = case_id;
    places.push_back({.hash = pair_hash(images[static_cast<std::size_t>(image)],
                                        captions[static_cast<std::size_t>(caption)]),
                      .first_row = scores.integer(0, 0, std::numeric_limits<std::int64_t>::max())});
  }
  places.shrink_to_fit();
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

class RankTargets::Implementation {
 public:
  explicit Implementation(const fs::path& path)
      : database_(open_target_store(path)),
        places_(index_pairs(database_, path)),
        latent_elements_(latent_elements(database_, path)),
        candidates_(
            database_.prepare("SELECT score.case_id, image.name, caption.name, score.score FROM score "
                              "JOIN image ON image.id = score.image_id "
                              "JOIN caption ON caption.id = score.caption_id "
                              "WHERE score.rowid >= ? ORDER BY score.rowid")) {}

  [[nodiscard]] std::optional<RankCandidates> find(const std::string& image, const std::string& caption) {
    const PairPlace wanted{.hash = pair_hash(hash_of(image), hash_of(caption))};
    const auto [first, last] = std::equal_range(places_.begin(), places_.end(), wanted);
    for (auto place = first; place != last; ++place) {
      std::optional<RankCandidates> found = read(*place, image, caption);
      if (found) return found;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }

 private:
  /// The case at `place`; nothing if it is another pair with the same hash.
  std::optional<RankCandidates> read(const PairPlace& place, const std::string& image,
                                     const std::string& caption) {
    RankCandidates found;
    candidates_.start(place.first_row);
    std::int64_t case_id = -1;
    while (candidates_.step()) {
      if (found.captions.empty()) {
        case_id = candidates_.integer(0);
        if (candidates_.text(1) != image || candidates_.text(2) != caption) break;
      }
      if (candidates_.integer(0) != case_id) break;
      found.captions.push_back(candidates_.text(2));
      found.distances.push_back(static_cast<float>(-candidates_.real(3) / latent_elements_));
    }
    candidates_.reset();
    if (found.captions.empty()) return std::nullopt;
    return found;
  }

  Database database_;
  std::vector<PairPlace> places_;
  double latent_elements_ = 1;
  Statement candidates_;
};

RankTargets::RankTargets(const fs::path& run_or_store)
    : implementation_(std::make_unique<Implementation>(store_path(run_or_store))) {}

RankTargets::~RankTargets() = default;
RankTargets::RankTargets(RankTargets&&) noexcept = default;
RankTargets& RankTargets::operator=(RankTargets&&) noexcept = default;

std::optional<RankCandidates> RankTargets::find(const std::string& image, const std::string& caption) const {
  return implementation_->find(image, caption);
}

std::int64_t RankTargets::size() const {
  return implementation_->size();
}

}  // namespace sdsclip

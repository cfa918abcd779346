#include "embedding_cache.h"

#include <algorithm>

#include "sdsclip/base/error.h"
#include "sdsclip/base/file_reader.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/sha256.h"
#include "stored_rows.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kCacheApplicationId = 0x53444543;  // "SDEC"

Database open_cache(const fs::path& folder) {
  create_folder(folder);
  const fs::path path = folder / "embeddings.sqlite";
  Database database(path, Database::Mode::kCreate);
  Transaction transaction(database);
  const bool is_new = database.integer("SELECT count(*) FROM sqlite_master") == 0;
  if (is_new) {
    database.execute(
        fmt::format("PRAGMA application_id={}; CREATE TABLE embedding "
                    "(key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;",
                    kCacheApplicationId));
  }
  if (database.integer("PRAGMA application_id") != kCacheApplicationId) {
    throw input_error("{}: is not a cache of embeddings; give another folder with --cache", path.string());
  }
  transaction.commit();
  database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  return database;
}

/// The model and the settings, apart from the batch, that can change the bits of its embeddings.
std::string model_key(const RunIdentity& identity) {
  std::string key = identity.model_sha256;
  for (const auto& [name, value] : identity.settings) {
    if (name == "device" || name == "precision" || name == "convert")
      key += fmt::format(" {}={}", name, value);
  }
  return key;
}

std::string digest_of_image(const BenchmarkImage& image) {
  if (image.unpacked) return sha256(image.unpacked->substr(image.range.offset, image.range.size));
  if (image.range.size == 0) return sha256_of_file(image.file);
  return sha256(FileReader(image.file).read(image.range.offset, image.range.size));
}

}  // namespace

EmbeddingCache::EmbeddingCache(const fs::path& folder)
    : path_(folder / "embeddings.sqlite"), database_(open_cache(folder)) {}

std::optional<std::vector<float>> EmbeddingCache::find(const std::string& key, std::int64_t dim) {
  StoredRows query(database_, path_, "embedding", "SELECT data FROM embedding WHERE key = ?");
  query.start(key, std::string_view(key));
  if (!query.step()) return std::nullopt;
  std::vector<float> values = query.floats(0, dim);
  if (std::all_of(values.begin(), values.end(), [](float value) { return value == 0; })) {
    query.refuse(0, "only zeros", "an embedding");
  }
  return values;
}

void EmbeddingCache::keep(std::span<const Entry> entries) {
  Transaction transaction(database_);
  Statement insert = database_.prepare("INSERT OR IGNORE INTO embedding VALUES (?, ?)");
  for (const Entry& entry : entries) insert.run(std::string_view(entry.first), std::as_bytes(entry.second));
  transaction.commit();
}

std::string cache_key(const RunIdentity& identity, const BenchmarkImage& image) {
  std::string key = fmt::format("{} image {}", model_key(identity), digest_of_image(image));
  if (image.crop) {
    const Box& box = *image.crop;
    key += fmt::format(" crop {},{},{},{}", box.x, box.y, box.width, box.height);
  }
  if (image.raw)
    key += fmt::format(" raw {}x{}x{}", image.raw->width, image.raw->height, image.raw->channels);
  return sha256(key);
}

std::string cache_key(const RunIdentity& identity, const std::string& text) {
  return sha256(fmt::format("{} text {}", model_key(identity), text));
}

}  // namespace sdsclip

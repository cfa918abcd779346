#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/scoring/score_store.h"
#include "sqlite.h"

namespace sdsclip {

/// Embeddings in `FOLDER/embeddings.sqlite` that several runs can share, also at the same time. The key is
/// what they were made from: the model with its device and precision, and the image's bytes or the text.
///
/// An embedding is returned exactly as stored. Its low bits may differ from what this run would compute,
/// because another run may have used other batches.
class EmbeddingCache {
 public:
  using Entry = std::pair<std::string, std::span<const float>>;  // key and embedding

  /// Throws `Error(kInput)` if the folder cannot be written or the file is not such a cache.
  explicit EmbeddingCache(const std::filesystem::path& folder);

  /// Finds an embedding of `dim` numbers. Throws `Error(kInput)` if the stored one has another size.
  [[nodiscard]] std::optional<std::vector<float>> find(const std::string& key, std::int64_t dim);
  /// Adds the entries that are not in the cache yet.
  void keep(std::span<const Entry> entries);

 private:
  std::filesystem::path path_;
  Database database_;
};

/// The keys for one model. They throw `Error(kInput)` if the image's file cannot be read.
std::string cache_key(const RunIdentity& identity, const BenchmarkImage& image);
std::string cache_key(const RunIdentity& identity, const std::string& text);

}  // namespace sdsclip

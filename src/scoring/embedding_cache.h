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

/// Embeddings that outlive a run, in `FOLDER/embeddings.sqlite`, by what they were made of: the model with
/// its device and precision, and the image's bytes or the text. Several runs may use it at once.
///
/// An embedding comes back to the bit as it was made, but another run's batches may have given other low bits
/// than this run's would.
class EmbeddingCache {
 public:
  using Entry = std::pair<std::string, std::span<const float>>;  // key and embedding

  /// Throws `Error(kInput)` where the folder cannot be written or the file is no such cache.
  explicit EmbeddingCache(const std::filesystem::path& folder);

  /// An embedding of `dim` numbers. Throws `Error(kInput)` where another one lies there.
  [[nodiscard]] std::optional<std::vector<float>> find(const std::string& key, std::int64_t dim);
  /// Keeps what is not there yet.
  void keep(std::span<const Entry> entries);

 private:
  std::filesystem::path path_;
  Database database_;
};

/// Keys of everything that one model makes. Throw `Error(kInput)` where the image's file cannot be read.
std::string cache_key(const RunIdentity& identity, const BenchmarkImage& image);
std::string cache_key(const RunIdentity& identity, const std::string& text);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sdsclip {

/// The teacher's targets for one (image, caption) pair.
struct RankCandidates {
  std::vector<std::string> captions;  ///< the pair's own caption first
  std::vector<float> distances;       ///< d(x, c_j), mean over the latent's elements, by the run's estimator
};

/// Reads the store of a run of `sdsclip diffusion-score captions`. Memory is 16 bytes per pair; captions and
/// distances are read when needed. Only one thread at a time may use it.
class RankTargets {
 public:
  /// `run_or_store` is the run's folder or its `scores.sqlite`; it may be read-only. Throws `Error(kInput)`
  /// if the store is missing, damaged, of another command or benchmark, or not finished.
  explicit RankTargets(const std::filesystem::path& run_or_store);
  ~RankTargets();
  RankTargets(RankTargets&&) noexcept;
  RankTargets& operator=(RankTargets&&) noexcept;

  /// The candidates of a pair, or nothing if the store lacks the pair. `image` is the `filepath` of the
  /// candidates table. It must equal the training data set's name of the image (`CaptionRecord::image_name`):
  /// COCO's `file_name`, a table's `filepath`, WebDataset's `shard.tar:member`. `caption` is the data set's
  /// exact text.
  [[nodiscard]] std::optional<RankCandidates> find(const std::string& image,
                                                   const std::string& caption) const;

  /// The number of pairs in the store.
  [[nodiscard]] std::int64_t size() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip

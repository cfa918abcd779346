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

/// Reads the store that `sdsclip diffusion-score captions` left. In memory are 16 bytes a pair; captions and
/// distances are read on need. Safe from one thread at a time.
class RankTargets {
 public:
  /// `run_or_store` is the run's folder or its `scores.sqlite`, which may lie in a folder that cannot be
  /// written. Throws `Error(kInput)` where it is missing, damaged, of another command or benchmark, or not
  /// finished.
  explicit RankTargets(const std::filesystem::path& run_or_store);
  ~RankTargets();
  RankTargets(RankTargets&&) noexcept;
  RankTargets& operator=(RankTargets&&) noexcept;

  /// The candidates of a pair, or nothing where the store does not know it. `image` is the candidates table's
  /// `filepath`, which has to be what the training data set calls its images (`CaptionRecord::image_name`):
  /// COCO's `file_name`, a table's `filepath`, WebDataset's `shard.tar:member`. `caption` is the caption as
  /// the data set has it, to the letter.
  [[nodiscard]] std::optional<RankCandidates> find(const std::string& image,
                                                   const std::string& caption) const;

  /// How many pairs the store knows.
  [[nodiscard]] std::int64_t size() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip

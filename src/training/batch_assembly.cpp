#include "batch_assembly.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sdsclip/models/inputs.h"

namespace sdsclip {
namespace {

/// The texts of a step beyond the images' own captions.
class TextColumns {
 public:
  explicit TextColumns(std::size_t captions) : captions_(static_cast<std::int64_t>(captions)) {}

  /// Adds a text and returns its row.
  std::int64_t add(const std::string& text) {
    further_.push_back(text);
    return captions_ + further_count() - 1;
  }
  [[nodiscard]] const std::vector<std::string>& further() const { return further_; }
  [[nodiscard]] std::int64_t further_count() const { return static_cast<std::int64_t>(further_.size()); }

 private:
  std::int64_t captions_;
  std::vector<std::string> further_;
};

/// The teacher's candidates for the images of the batch that have targets. Their own captions are already
/// columns.
std::optional<RankBatch> rank_batch(const RankTargets& targets, const Batch& batch, TextColumns& columns) {
  std::vector<std::int64_t> images;
  std::vector<std::vector<std::int64_t>> rows;
  std::vector<RankCandidates> found;
  for (std::size_t image = 0; image < batch.captions.size(); ++image) {
    std::optional<RankCandidates> candidates = targets.find(batch.image_names[image], batch.captions[image]);
    if (!candidates) continue;
    std::vector<std::int64_t>& row = rows.emplace_back();
    row.push_back(static_cast<std::int64_t>(image));
    for (std::size_t j = 1; j < candidates->captions.size(); ++j)
      row.push_back(columns.add(candidates->captions[j]));
    images.push_back(static_cast<std::int64_t>(image));
    found.push_back(std::move(*candidates));
  }
  if (images.empty()) return std::nullopt;
  std::size_t longest = 0;
  for (const std::vector<std::int64_t>& row : rows) longest = std::max(longest, row.size());
  const std::int64_t count = static_cast<std::int64_t>(rows.size());
  RankBatch result;
  result.images = at::tensor(images, at::kLong);
  result.texts = at::full({count, static_cast<std::int64_t>(longest)}, -1, at::kLong);
  result.distances = at::zeros({count, static_cast<std::int64_t>(longest)}, at::kFloat);
  for (std::int64_t r = 0; r < count; ++r) {
    const std::vector<std::int64_t>& row = rows[static_cast<std::size_t>(r)];
    const std::int64_t length = static_cast<std::int64_t>(row.size());
    result.texts[r].narrow(0, 0, length).copy_(at::tensor(row, at::kLong));
    result.distances[r].narrow(0, 0, length).copy_(at::tensor(found[static_cast<std::size_t>(r)].distances));
  }
  return result;
}

}  // namespace

StepBatch assemble_batch(const TrainConfig& config, const TrainingSetup& setup, const Batch& batch) {
  StepBatch result;
  result.pixels = &batch.pixels;
  result.teacher_pixels = &batch.teacher_pixels;
  TextColumns columns(batch.captions.size());
  if (config.contrastive.hard_negatives) {
    for (const std::string& text : batch.negative_captions) {
      if (!text.empty()) columns.add(text);
    }
    result.hard_negatives = columns.further_count();
  }
  if (setup.targets) result.rank = rank_batch(*setup.targets, batch, columns);
  const std::int64_t size = static_cast<std::int64_t>(batch.captions.size());
  result.text_ids = at::tensor(batch.token_ids, at::kLong).view({size, -1});
  if (!columns.further().empty()) {
    result.text_ids = at::cat({result.text_ids, tokenize(setup.clip_tokenizer, columns.further())});
  }
  if (setup.teacher_tokenizer) result.teacher_ids = tokenize(*setup.teacher_tokenizer, batch.captions);
  return result;
}

}  // namespace sdsclip

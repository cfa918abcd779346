#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "diffusion_plan.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/scoring/diffusion_options.h"
#include "unit_cache.h"

namespace sdsclip {

/// The noise eps_k, f32[C, h, w]: a function of (seed, k) and of the latent's size alone.
at::Tensor sample_noise(std::int64_t seed, std::int64_t sample, const BundleLatent& latent);

/// Runs the UNet on batches of evaluations. Latents, contexts and noises are computed when first needed and
/// kept while there is room.
class SampleEvaluator {
 public:
  /// All arguments must outlive this.
  SampleEvaluator(DiffusionTeacher& teacher, const CaseTable& table, const TextTable& texts,
                  const DiffusionScoreOptions& options, std::span<const SamplePoint> points);

  /// Computes the errors of `evaluations` in a batch padded to `size` rows. Throws `Error(kRuntime)` if an
  /// error is not finite or memory is too small, and `Error(kInput)` if an image or text cannot be used.
  std::vector<SampleErrorRow> evaluate(std::span<const Evaluation> evaluations, std::int64_t size);

 private:
  at::Tensor encode_images(std::int64_t first, std::int64_t size);
  at::Tensor encode_texts(std::int64_t first, std::int64_t size);
  at::Tensor noise(std::int32_t sample);

  DiffusionTeacher& teacher_;
  const CaseTable& table_;
  const TextTable& texts_;
  const DiffusionScoreOptions& options_;
  std::span<const SamplePoint> points_;
  PreprocessOptions preprocessing_;
  Tokenizer tokenizer_;
  UnitCache latents_;
  UnitCache contexts_;
  std::unordered_map<std::int32_t, at::Tensor> noises_;
};

}  // namespace sdsclip

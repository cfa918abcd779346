#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "diffusion_plan.h"
#include "sdsclip/base/work_counters.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/scoring/diffusion_options.h"
#include "unit_cache.h"

namespace sdsclip {

/// The noise eps_k, f32[C, h, w]: a function of (seed, k) and of the latent's size alone.
at::Tensor sample_noise(std::int64_t seed, std::int64_t sample, const BundleLatent& latent);

/// A batch of evaluations as the UNet takes it, padded with zero rows.
struct BatchInputs {
  at::Tensor z;
  at::Tensor noise;
  at::Tensor context;
  at::Tensor timesteps;
  WorkCounters work;  ///< what the latents and contexts took
};

/// Runs the UNet on batches of evaluations, in three steps for three threads: `prepare` a batch, `errors` of
/// an earlier one, `rows` of one before that. Only one thread at a time may take a step. Latents, contexts and
/// noises are computed when first needed and kept while there is room.
///
/// The threads share only what is constant, and the teacher, of which `prepare` uses the encoders and `errors`
/// the UNet.
class SampleEvaluator {
 public:
  /// All arguments must outlive this.
  SampleEvaluator(DiffusionTeacher& teacher, const CaseTable& table, const TextTable& texts,
                  const DiffusionScoreOptions& options, std::span<const SamplePoint> points);

  /// The inputs of `evaluations` in a batch of `size` rows. Throws `Error(kRuntime)` if memory is too small,
  /// and `Error(kInput)` if an image or text cannot be used.
  BatchInputs prepare(std::span<const Evaluation> evaluations, std::int64_t size);

  /// Queues the UNet's work: the sums of squares and of absolute values, f64[2, size] on the device. Throws
  /// `Error(kRuntime)` if memory is too small.
  at::Tensor errors(const BatchInputs& inputs);

  /// Waits for the errors of `evaluations`. Throws `Error(kRuntime)` if one is not finite.
  [[nodiscard]] std::vector<SampleErrorRow> rows(std::span<const Evaluation> evaluations,
                                                 const at::Tensor& errors) const;

 private:
  at::Tensor encode_images(std::int64_t first, std::int64_t size);
  at::Tensor encode_texts(std::int64_t first, std::int64_t size);
  at::Tensor noise(std::int32_t sample);
  std::unique_lock<std::mutex> turn();

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
  WorkCounters encodings_;  // of the batch that is prepared
  std::mutex networks_;
};

}  // namespace sdsclip

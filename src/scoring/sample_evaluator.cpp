#include "sample_evaluator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "sdsclip/base/error.h"
#include "sdsclip/base/random.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/noise_schedule.h"
#include "sdsclip/models/out_of_memory.h"
#include "unit_inputs.h"
#include "unit_shape.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kBytesPerMib = 1 << 20;

PreprocessOptions preprocessing_for(const Bundle& bundle, const DiffusionScoreOptions& score) {
  PreprocessOptions options = preprocess_options(bundle.image, score.convert);
  options.resize = score.resize.value_or(options.resize);
  return options;
}

std::int64_t unit_size(std::int64_t count, std::int64_t at_most) {
  return even_units(count, at_most).size;
}

// Stacks the rows and adds zero rows up to `size`.
at::Tensor padded_stack(std::vector<at::Tensor> rows, std::int64_t size) {
  rows.resize(static_cast<std::size_t>(size), at::zeros_like(rows.front()));
  return at::stack(rows);
}

/// Reports too little memory for the encoders differently from too little for the UNet.
template <typename Encode>
at::Tensor encode_in_memory(std::int64_t size, const char* what, const Encode& encode) {
  return in_memory(
      fmt::format(
          "not enough memory to encode {} {} at once; run again with --resume and a smaller --encode-batch",
          size, what),
      encode);
}

}  // namespace

at::Tensor sample_noise(std::int64_t seed, std::int64_t sample, const BundleLatent& latent) {
  at::Tensor noise = at::empty({latent.channels, latent.size, latent.size}, at::kFloat);
  const std::uint64_t stream =
      substream(stream_of("diffusion-score/noise"), static_cast<std::uint64_t>(sample));
  fill_normal(static_cast<std::uint64_t>(seed), stream, 0,
              {noise.data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
  return noise;
}

SampleEvaluator::SampleEvaluator(DiffusionTeacher& teacher, const CaseTable& table, const TextTable& texts,
                                 const DiffusionScoreOptions& options, std::span<const SamplePoint> points)
    : teacher_(teacher),
      table_(table),
      texts_(texts),
      options_(options),
      points_(points),
      preprocessing_(preprocessing_for(teacher.bundle(), options)),
      tokenizer_(load_tokenizer(teacher.bundle())),
      latents_([this](std::int64_t first, std::int64_t size) { return encode_images(first, size); },
               unit_size(static_cast<std::int64_t>(table.images.size()), options.encode_batch),
               options.cache_mib * kBytesPerMib / 2),
      contexts_([this](std::int64_t first, std::int64_t size) { return encode_texts(first, size); },
                unit_size(texts.caption_texts, options.encode_batch), options.cache_mib * kBytesPerMib / 2) {}

at::Tensor SampleEvaluator::encode_images(std::int64_t first, std::int64_t size) {
  const c10::Device device = teacher_.placement().device;
  const at::Tensor pixels =
      image_units(table_.images, {first / size}, size, preprocessing_, options_.workers, device).next();
  encodings_.vae_encodings += size;
  const std::unique_lock lock = turn();
  return encode_in_memory(size, "images", [&] { return teacher_.encode_image(pixels); });
}

at::Tensor SampleEvaluator::encode_texts(std::int64_t first, std::int64_t size) {
  const at::Tensor ids = tokenize_unit(tokenizer_, texts_.texts, first, size);
  encodings_.text_encodings += size;
  const std::unique_lock lock = turn();
  return encode_in_memory(size, "texts", [&] { return teacher_.encode_text(ids); });
}

/// Several networks at once, each on all cores of a CPU, would wait for one another's threads.
std::unique_lock<std::mutex> SampleEvaluator::turn() {
  std::unique_lock lock(networks_, std::defer_lock);
  if (teacher_.placement().device.is_cpu() && at::get_num_threads() > 1) lock.lock();
  return lock;
}

at::Tensor SampleEvaluator::noise(std::int32_t sample) {
  at::Tensor& noise = noises_[sample];
  if (!noise.defined()) {
    noise = sample_noise(options_.sampling.seed, sample, teacher_.bundle().latent)
                .to(teacher_.placement().device);
  }
  return noise;
}

BatchInputs SampleEvaluator::prepare(std::span<const Evaluation> evaluations, std::int64_t size) {
  at::internal::lazy_init_num_threads();  // of this thread, as many as everywhere
  const at::NoGradGuard no_grad;
  encodings_ = {};
  std::vector<at::Tensor> z_rows;
  std::vector<at::Tensor> noise_rows;
  std::vector<at::Tensor> context_rows;
  std::vector<std::int64_t> timesteps(static_cast<std::size_t>(size), 0);
  for (std::size_t i = 0; i < evaluations.size(); ++i) {
    z_rows.push_back(latents_.row(evaluations[i].image));
    noise_rows.push_back(noise(evaluations[i].sample));
    context_rows.push_back(contexts_.row(evaluations[i].text));
    timesteps[i] = points_[static_cast<std::size_t>(evaluations[i].sample)].timestep;
  }
  return {.z = padded_stack(std::move(z_rows), size),
          .noise = padded_stack(std::move(noise_rows), size),
          .context = padded_stack(std::move(context_rows), size),
          .timesteps = at::tensor(timesteps, at::kLong).to(teacher_.placement().device),
          .work = encodings_};
}

at::Tensor SampleEvaluator::errors(const BatchInputs& inputs) {
  const at::NoGradGuard no_grad;
  const std::unique_lock lock = turn();
  const auto& [z, eps, context, timesteps, work] = inputs;
  const at::Tensor& abar = teacher_.alphas_cumprod();
  const at::Tensor noised = add_noise(z, eps, timesteps, abar);
  // eps_hat - eps = sqrt(abar) (v_hat - v); forming eps_hat at a large t would lose digits.
  const bool is_velocity = teacher_.bundle().prediction_type == PredictionType::kVPrediction;
  const at::Tensor target = is_velocity ? velocity(z, eps, timesteps, abar) : eps;
  const at::Tensor scale = is_velocity ? gather_timesteps(abar, timesteps).sqrt() : at::Tensor();
  const ErrorSums sums = teacher_.error_sums(noised, timesteps, context, target, scale);
  return at::stack({sums.squares, sums.absolutes});
}

std::vector<SampleErrorRow> SampleEvaluator::rows(std::span<const Evaluation> evaluations,
                                                  const at::Tensor& errors) const {
  const at::Tensor sums = errors.to(at::kCPU);
  const double* const error = sums.const_data_ptr<double>();
  const double* const error_l1 = error + sums.size(1);
  std::vector<SampleErrorRow> rows;
  for (std::size_t i = 0; i < evaluations.size(); ++i) {
    const Evaluation& evaluation = evaluations[i];
    const SampleErrorRow& row = rows.emplace_back(SampleErrorRow{.image = evaluation.image,
                                                                 .text = evaluation.text,
                                                                 .sample = evaluation.sample,
                                                                 .error = error[i],
                                                                 .error_l1 = error_l1[i]});
    if (!std::isfinite(row.error) || !std::isfinite(row.error_l1)) {
      throw runtime_failure(
          "the teacher's error is not finite for image '{}', text '{}', timestep {}; run with --precision "
          "fp32 or "
          "bf16, or check the weights",
          table_.images[static_cast<std::size_t>(row.image)].id,
          texts_.texts[static_cast<std::size_t>(row.text)],
          points_[static_cast<std::size_t>(row.sample)].timestep);
    }
  }
  return rows;
}

}  // namespace sdsclip

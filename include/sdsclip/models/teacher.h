#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "sdsclip/base/work_counters.h"
#include "sdsclip/models/bundle.h"
#include "sdsclip/models/compute_options.h"
#include "sdsclip/models/device.h"

namespace torch::jit {
struct Module;
}

namespace sdsclip {

class CompiledGraph;

/// The networks that a run needs; L_SDS, for example, does not need the VAE.
struct TeacherParts {
  bool unet = true;
  bool vae_encoder = true;
  bool text_encoder = true;
  CompiledUse compiled = CompiledUse::kOff;
};

/// The UNet's compiled graphs: the error with its gradient for training, and the errors' sums for scoring.
enum class TeacherGraph { kStep, kScore };

/// Per item, the sums of the squares and of the absolute values of an error, f64[N] each.
struct ErrorSums {
  at::Tensor squares;
  at::Tensor absolutes;
};

/// The frozen text-to-image diffusion model. Its networks are converted to the placement's precision when
/// loaded; inputs and outputs are float32.
class DiffusionTeacher {
 public:
  DiffusionTeacher(const Bundle& bundle, const TeacherParts& parts, const Placement& placement);
  ~DiffusionTeacher();
  DiffusionTeacher(DiffusionTeacher&&) noexcept;
  DiffusionTeacher& operator=(DiffusionTeacher&&) noexcept;

  /// `ids` i64[B, context_length] -> context f32[B, L, E], without a gradient.
  [[nodiscard]] at::Tensor encode_text(const at::Tensor& ids);

  /// `pixels` f32[B, 3, size, size], normalised -> latent f32[B, C, h, w], without a gradient: the mean of
  /// the posterior times `scaling_factor`.
  [[nodiscard]] at::Tensor encode_image(const at::Tensor& pixels);

  /// The UNet's prediction f32[B, C, h, w] (noise or velocity, see `bundle().prediction_type`) for `noised`
  /// f32[B, C, h, w], `timesteps` i64[B] and `context` f32[B, L, E]. It is differentiable in `noised` alone:
  /// the weights are frozen, so no gradient of theirs is ever allocated.
  [[nodiscard]] at::Tensor predict(const at::Tensor& noised, const at::Tensor& timesteps,
                                   const at::Tensor& context);

  /// The predicted noise for the same inputs; a velocity is converted by `noise_from_velocity`.
  [[nodiscard]] at::Tensor predict_noise(const at::Tensor& noised, const at::Tensor& timesteps,
                                         const at::Tensor& context);

  /// The output of the UNet's block number `block` for the same inputs, without a gradient: f32[B, C, h, w]
  /// with the shape `bundle().features[block]`.
  [[nodiscard]] at::Tensor features(const at::Tensor& noised, const at::Tensor& timesteps,
                                    const at::Tensor& context, std::int64_t block);

  /// Runs one of the graphs compiled from here on, for at most `batch` latents at once, if the bundle has a
  /// package for it and `TeacherParts::compiled` permits. Throws `Error(kUsage)` if a package is required and
  /// none fits, and `Error(kInput)` if the package is damaged.
  void use_compiled(TeacherGraph graph, std::int64_t batch);

  /// Whether `rows` latents run compiled in this graph.
  [[nodiscard]] bool runs_compiled(TeacherGraph graph, std::int64_t rows) const;

  /// `compiled` or `torchscript`.
  [[nodiscard]] std::string graph_name() const { return compiled_ ? "compiled" : "torchscript"; }

  /// `sum_i weights_i || predict(...)_i - target_i ||^2` by the compiled graph, differentiable in `noised` and
  /// `target`. `upstream` is the gradient that the result's `backward` will get, or undefined for 1.
  [[nodiscard]] at::Tensor weighted_error(const at::Tensor& noised, const at::Tensor& timesteps,
                                          const at::Tensor& context, const at::Tensor& target,
                                          const at::Tensor& weights, const at::Tensor& upstream);

  /// The sums of `scale_i * (predict(...)_i - target_i)`, compiled or not, without a gradient; `scale` is
  /// f32[N, 1, 1, 1], or undefined for 1.
  [[nodiscard]] ErrorSums error_sums(const at::Tensor& noised, const at::Tensor& timesteps,
                                     const at::Tensor& context, const at::Tensor& target,
                                     const at::Tensor& scale);

  /// f32[train_timesteps] on the placement's device.
  [[nodiscard]] const at::Tensor& alphas_cumprod() const { return alphas_cumprod_; }
  [[nodiscard]] const Bundle& bundle() const { return bundle_; }
  [[nodiscard]] const Placement& placement() const { return placement_; }
  [[nodiscard]] const WorkCounters& work() const { return work_; }

 private:
  Bundle bundle_;
  Placement placement_;
  CompiledUse compiled_use_;
  at::Tensor alphas_cumprod_;
  WorkCounters work_;
  std::unique_ptr<torch::jit::Module> unet_;
  std::unique_ptr<torch::jit::Module> vae_encoder_;
  std::unique_ptr<torch::jit::Module> text_encoder_;
  TeacherGraph compiled_kind_ = TeacherGraph::kStep;
  std::unique_ptr<CompiledGraph> compiled_;  // null: TorchScript; it uses the tensors of `unet_`
};

}  // namespace sdsclip

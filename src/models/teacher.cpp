#include "sdsclip/models/teacher.h"

#include <fmt/ranges.h>

#include "compiled_graph.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"
#include "sdsclip/models/noise_schedule.h"
#include "torchscript.h"

namespace sdsclip {
namespace {

std::unique_ptr<torch::jit::Module> load_part(const Bundle& bundle, const std::string& file,
                                              const Placement& placement) {
  torch::jit::Module module = load_archive(bundle, file, placement);
  if (placement.precision != Precision::kFp32) convert_floating(module, dtype_of(placement.precision));
  return std::make_unique<torch::jit::Module>(std::move(module));
}

void check_shape(const at::Tensor& tensor, at::IntArrayRef expected, const Bundle& bundle, const char* what) {
  if (tensor.sizes() != expected) {
    throw input_error("{}: {} has shape [{}], expected [{}] (bundle.json)", bundle.folder.string(), what,
                      fmt::join(tensor.sizes(), ", "), fmt::join(expected, ", "));
  }
}

}  // namespace

DiffusionTeacher::DiffusionTeacher(const Bundle& bundle, const TeacherParts& parts,
                                   const Placement& placement)
    : bundle_(bundle),
      placement_(placement),
      compiled_use_(parts.compiled),
      alphas_cumprod_(sdsclip::alphas_cumprod(bundle.schedule).to(placement.device)) {
  if (parts.unet) unet_ = load_part(bundle, "unet.ts", placement);
  if (parts.vae_encoder) vae_encoder_ = load_part(bundle, "vae_encoder.ts", placement);
  if (parts.text_encoder) text_encoder_ = load_part(bundle, "text_encoder.ts", placement);
}

DiffusionTeacher::~DiffusionTeacher() = default;
DiffusionTeacher::DiffusionTeacher(DiffusionTeacher&&) noexcept = default;
DiffusionTeacher& DiffusionTeacher::operator=(DiffusionTeacher&&) noexcept = default;

at::Tensor DiffusionTeacher::encode_text(const at::Tensor& ids) {
  const at::NoGradGuard no_grad;
  work_.text_encodings += ids.size(0);
  const at::Tensor context =
      call_method(*text_encoder_, "forward", {ids.to(placement_.device)}).toTensor().to(at::kFloat);
  check_shape(context, {ids.size(0), bundle_.tokenizer.context_length, bundle_.context_dim}, bundle_,
              "the text encoder's output");
  return context;
}

at::Tensor DiffusionTeacher::encode_image(const at::Tensor& pixels) {
  const at::NoGradGuard no_grad;
  work_.vae_encodings += pixels.size(0);
  const at::Tensor input =
      pixels.to(placement_.device, dtype_of(placement_.precision), /*non_blocking=*/true);
  const at::Tensor moments = call_method(*vae_encoder_, "forward", {input}).toTensor().to(at::kFloat);
  const BundleLatent& latent = bundle_.latent;
  check_shape(moments, {pixels.size(0), 2 * latent.channels, latent.size, latent.size}, bundle_,
              "the VAE encoder's output");
  return moments.narrow(1, 0, latent.channels) * latent.scaling_factor;
}

at::Tensor DiffusionTeacher::predict(const at::Tensor& noised, const at::Tensor& timesteps,
                                     const at::Tensor& context) {
  work_.unet_evaluations += noised.size(0);
  const at::ScalarType dtype = dtype_of(placement_.precision);
  const at::Tensor prediction =
      call_method(*unet_, "forward", {noised.to(dtype), timesteps, context.to(dtype)})
          .toTensor()
          .to(at::kFloat);
  check_shape(prediction, noised.sizes(), bundle_, "the UNet's output");
  return prediction;
}

at::Tensor DiffusionTeacher::features(const at::Tensor& noised, const at::Tensor& timesteps,
                                      const at::Tensor& context, std::int64_t block) {
  const at::NoGradGuard no_grad;
  work_.unet_evaluations += noised.size(0);
  const at::ScalarType dtype = dtype_of(placement_.precision);
  const std::vector<at::Tensor> outputs =
      call_method(*unet_, "features", {noised.to(dtype), timesteps, context.to(dtype)}).toTensorVector();
  const std::vector<std::int64_t>& shape = bundle_.features.at(static_cast<std::size_t>(block));
  const at::Tensor output = outputs.at(static_cast<std::size_t>(block)).to(at::kFloat);
  check_shape(output, {noised.size(0), shape.at(0), shape.at(1), shape.at(2)}, bundle_, "a UNet feature");
  return output;
}

at::Tensor DiffusionTeacher::predict_noise(const at::Tensor& noised, const at::Tensor& timesteps,
                                           const at::Tensor& context) {
  const at::Tensor prediction = predict(noised, timesteps, context);
  if (bundle_.prediction_type == PredictionType::kEpsilon) return prediction;
  return noise_from_velocity(prediction, noised, timesteps, alphas_cumprod_);
}

void DiffusionTeacher::use_compiled(TeacherGraph graph, std::int64_t batch) {
  compiled_.reset();
  const std::optional<CompiledPackage> package =
      find_package(bundle_, placement_, compiled_use_, graph, batch);
  if (!package) return;
  try {
    compiled_ = std::make_unique<CompiledGraph>(*package, *unet_, placement_);
  } catch (const Error& failure) {
    if (failure.exit_code() != ExitCode::kRuntime || compiled_use_ == CompiledUse::kRequire) throw;
    log_warning("{}; TorchScript is used", failure.what());
    return;
  }
  compiled_kind_ = graph;
  log_info("the UNet runs compiled: {}", package->file.string());
}

bool DiffusionTeacher::runs_compiled(TeacherGraph graph, std::int64_t rows) const {
  return compiled_ && compiled_kind_ == graph && rows <= compiled_->batch();
}

at::Tensor DiffusionTeacher::weighted_error(const at::Tensor& noised, const at::Tensor& timesteps,
                                            const at::Tensor& context, const at::Tensor& target,
                                            const at::Tensor& weights, const at::Tensor& upstream) {
  work_.unet_evaluations += noised.size(0);
  return sdsclip::weighted_error(*compiled_, noised, timesteps, context, target, weights, upstream);
}

ErrorSums DiffusionTeacher::error_sums(const at::Tensor& noised, const at::Tensor& timesteps,
                                       const at::Tensor& context, const at::Tensor& target,
                                       const at::Tensor& scale) {
  const at::NoGradGuard no_grad;
  if (runs_compiled(TeacherGraph::kScore, noised.size(0))) {
    work_.unet_evaluations += noised.size(0);
    const std::vector<at::Tensor> sums = compiled_->run({noised, timesteps, context, target});
    if (!scale.defined()) return {sums.at(0), sums.at(1)};
    const at::Tensor factor = scale.view({-1}).to(at::kDouble);
    return {sums.at(0) * factor.square(), sums.at(1) * factor};
  }
  const at::Tensor residual = predict(noised, timesteps, context) - target;
  const at::Tensor error = scale.defined() ? scale * residual : residual;
  return {error.square().sum({1, 2, 3}, false, at::kDouble), error.abs().sum({1, 2, 3}, false, at::kDouble)};
}

}  // namespace sdsclip

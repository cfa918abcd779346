#include "step_runner.h"

#include <ATen/ATen.h>

#include <cmath>
#include <span>
#include <vector>

#include "sdsclip/base/error.h"
#include "sdsclip/base/memory.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/models/device.h"
#include "sdsclip/training/trainer.h"

namespace sdsclip {
namespace {

constexpr double kLargestLogitScale = 4.605170185988092;  // ln 100, as in CLIP and open_clip

void clamp_logit_scale(const at::Tensor& logit_scale) {
  const at::NoGradGuard no_grad;
  at::Tensor(logit_scale).clamp_(0.0, kLargestLogitScale);
}

double loss_of(const std::optional<StepTerm>& term) {
  return term ? term->loss : 0.0;
}

void check_finite(const StepResult& result) {
  if (std::isfinite(result.total)) return;
  throw NotFiniteError(fmt::format(
      "the loss is {} (L_CLIP {}, L_SDS {}, features {}, L_rank {}), expected a finite number", result.total,
      loss_of(result.contrastive), loss_of(result.sds), loss_of(result.feature), loss_of(result.rank)));
}

}  // namespace

StepOptions StepRunner::options(const TrainingState& state) {
  StepOptions options = step_options(config_, state.step);
  if (config_.train.precision == Precision::kFp16) {
    if (!loss_scale_) loss_scale_.emplace(state.loss_scale, setup_.clip.placement().device);
    options.loss_scale = loss_scale_->value();
  }
  return options;
}

std::unique_ptr<PendingStep> StepRunner::queue(const StepBatch& batch, const TrainingState& state) {
  std::unique_ptr<PendingStep> pending = std::make_unique<PendingStep>();
  pending->step = state.step + 1;
  pending->options = options(state);
  pending->numbers = queue_gradients(setup_.models(), batch, pending->options);
  project_lora_gradients(setup_.lora);
  DeviceNumbers& losses = pending->numbers->losses;
  DeviceNumbers& measured = pending->numbers->measured;
  StepTimes& times = pending->times;
  std::vector<at::Tensor> parts;
  const double factor = learning_rate_factor(config_.train, state.step, steps_);
  times.learning_rate = factor * config_.train.lr;
  times.skipped = losses.size() == 0;
  const at::Tensor not_finite = loss_scale_ ? loss_scale_->unscale(setup_.trained) : at::Tensor();
  if (times.skipped) {
    optimizer_.drop_gradients();
  } else {
    const at::Tensor norms = optimizer_.gradient_norms();
    const at::Tensor norm = at::linalg_vector_norm(norms);
    losses.add(norm, times.gradient_norm);
    if (loss_scale_) measured.add(not_finite, pending->not_finite);
    const at::Tensor finite = losses.stack();
    optimizer_.step(factor, finite, norm);
    merge_lora(setup_.lora);
    parts = {finite, norms};
  }
  const at::Tensor logit_scale = setup_.clip.logit_scale();
  if (logit_scale.requires_grad()) {
    clamp_logit_scale(logit_scale);
    measured.add(logit_scale.squeeze(), times.logit_scale);
  } else {
    if (!logit_scale_) logit_scale_ = logit_scale.item<double>();
    times.logit_scale = *logit_scale_;
  }
  if (measured.size() > 0) parts.push_back(measured.stack());
  if (!parts.empty()) pending->copy.emplace(at::cat(parts));
  return pending;
}

void StepRunner::finish(PendingStep& pending, TrainingState& state) const {
  StepTimes& times = pending.times;
  const DeviceNumbers& losses = pending.numbers->losses;
  const Stopwatch wait;
  const std::vector<double> values = pending.copy ? pending.copy->read() : std::vector<double>();
  pending.seconds += wait.seconds();
  std::span<const double> rest = values;
  std::span<const double> norms;
  if (!times.skipped) {
    losses.assign(rest.first(losses.size()));
    norms = rest.subspan(losses.size(), setup_.trained.size());
    rest = rest.subspan(losses.size() + norms.size());
  }
  pending.numbers->measured.assign(rest);
  times.loss_scale = state.loss_scale.value;
  pending.numbers->finish(pending.options, times.loss_scale);
  check_finite(pending.numbers->result);
  if (loss_scale_) {
    update_loss_scale(state.loss_scale, pending.not_finite == 0);
    times.skipped = times.skipped || pending.not_finite != 0;
  }
  times.gradient_norm = times.skipped ? 0 : optimizer_.checked_norm(times.gradient_norm, norms);
  times.images_per_second = static_cast<double>(config_.train.batch_size) / pending.seconds;
  times.wait_share = pending.wait / pending.seconds;
  times.peak_memory_bytes = peak_memory_bytes();
  times.peak_gpu_memory_bytes = gpu_memory(setup_.clip.placement().device).peak;
}

}  // namespace sdsclip

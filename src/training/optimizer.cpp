#include "sdsclip/training/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "sdsclip/base/error.h"
#include "sdsclip/models/trainable.h"

namespace sdsclip {
namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// open_clip's rule for tensors without weight decay.
bool is_gain_or_bias(const NamedTensor& tensor) {
  const std::string& name = tensor.first;
  return tensor.second.dim() < 2 || contains(name, "bn") || contains(name, "ln") || contains(name, "bias") ||
         contains(name, "logit_scale");
}

bool is_finite(const at::Tensor& tensor) {
  return at::isfinite(tensor).all().item<bool>();
}

/// AdamW's state of one parameter, on its device.
struct Moments {
  at::Tensor average;  // exponential averages of the gradient and its square; undefined before the first one
  at::Tensor square;
  at::Tensor steps;  // f32[], the number of updates
};

/// The state of one parameter from a checkpoint after `steps` steps; undefined if it has none.
Moments restored_moments(const NamedTensor& tensor, const std::map<std::string, at::Tensor>& stored,
                         std::int64_t steps) {
  const auto find = [&](const char* kind) {
    const auto found = stored.find(std::string(kind) + tensor.first);
    return found == stored.end() ? at::Tensor() : found->second;
  };
  const at::Tensor average = find("exp_avg.");
  const at::Tensor square = find("exp_avg_sq.");
  const at::Tensor step = find("step.");
  if (!average.defined() && !square.defined() && !step.defined()) return {};
  if (!average.defined() || !square.defined() || !step.defined()) {
    throw input_error("the optimizer's state of '{}' is incomplete, expected exp_avg, exp_avg_sq and step",
                      tensor.first);
  }
  for (const at::Tensor& moment : {average, square}) {
    const bool fits = moment.sizes() == tensor.second.sizes() && moment.scalar_type() == at::kFloat;
    if (!fits || !is_finite(moment)) {
      throw input_error("the optimizer's state of '{}' has another shape or is not finite", tensor.first);
    }
  }
  if (step.numel() != 1 || step.scalar_type() != at::kLong || step.item<std::int64_t>() < 1 ||
      step.item<std::int64_t>() > steps) {
    throw input_error("the optimizer's step of '{}' is not one number from 1 to the run's {} steps",
                      tensor.first, steps);
  }
  if ((square < 0).any().item<bool>()) {
    throw input_error("the optimizer's exp_avg_sq of '{}' holds a number below 0", tensor.first);
  }
  // Copies, because the optimizer updates them in place and the caller's tensors must not change.
  const auto copy = [&](const at::Tensor& value) {
    return value.to(tensor.second.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  };
  return {copy(average), copy(square), copy(step.squeeze())};
}

/// The rate at the peak and the weight decay, which tensors share.
using Group = std::pair<double, double>;

}  // namespace

void check_finite_tensors(const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& tensor : tensors) {
    if (is_finite(tensor.second)) continue;
    throw NotFiniteError(fmt::format("'{}' has values that are not finite; it is not saved", tensor.first));
  }
}

double learning_rate_factor(const TrainOptions& options, std::int64_t step, std::int64_t total) {
  if (step < options.warmup_steps)
    return static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  if (options.schedule == LearningRateSchedule::kConstant) return 1.0;
  const double length = static_cast<double>(total - options.warmup_steps);
  const double done = static_cast<double>(step - options.warmup_steps);
  return 0.5 * (1.0 + std::cos(std::numbers::pi * done / length));
}

struct Optimizer::Implementation {
  std::vector<NamedTensor> trained;
  std::vector<Moments> moments;
  std::map<Group, std::vector<std::size_t>> groups;  // indices into `trained`
  TrainOptions options;
  at::Tensor norms;                    // f32[trained]
  std::vector<at::Tensor> norm_views;  // its elements
  at::Tensor one;                      // f32[]
};

Optimizer::Optimizer(const std::vector<NamedTensor>& trained, const TrainOptions& options)
    : implementation_(std::make_unique<Implementation>()) {
  Implementation& own = *implementation_;
  own.trained = trained;
  own.options = options;
  own.moments.resize(trained.size());
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const bool is_map = owner_of(trained[i].first) == ParameterOwner::kMap;
    const double rate = is_map && options.lr_h_w > 0 ? options.lr_h_w : options.lr;
    const double decay = is_gain_or_bias(trained[i]) ? 0.0 : options.weight_decay;
    own.groups[{rate, decay}].push_back(i);
  }
  if (trained.empty()) return;
  const at::TensorOptions place = at::TensorOptions(at::kFloat).device(trained.front().second.device());
  own.norms = at::zeros({static_cast<std::int64_t>(trained.size())}, place);
  own.norm_views = own.norms.unbind();
  own.one = at::ones({}, place);
}

Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

at::Tensor Optimizer::gradient_norms() {
  Implementation& own = *implementation_;
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> norms;
  for (std::size_t i = 0; i < own.trained.size(); ++i) {
    if (!own.trained[i].second.grad().defined()) continue;
    gradients.push_back(own.trained[i].second.grad());
    norms.push_back(own.norm_views[i]);
  }
  if (norms.size() < own.norm_views.size()) own.norms.zero_();
  if (!norms.empty()) at::_foreach_copy_(norms, at::_foreach_norm(gradients));
  return own.norms;
}

at::Tensor Optimizer::step(double factor, const at::Tensor& finite, const at::Tensor& norm) {
  const at::NoGradGuard no_grad;
  Implementation& own = *implementation_;
  at::Tensor skip = at::zeros_like(own.one);
  at::_amp_foreach_non_finite_check_and_unscale_({finite}, skip, own.one);  // sets `skip` to 1
  const double most = own.options.grad_clip_norm;
  // As in torch's `clip_grad_norm_`.
  const at::Tensor clip = most > 0 ? (most / (norm + 1e-6)).clamp_max_(1.0) : at::Tensor();
  for (const auto& [group, members] : own.groups) {
    std::vector<at::Tensor> values, gradients, averages, squares, steps;
    for (const std::size_t i : members) {
      const at::Tensor& value = own.trained[i].second;
      if (!value.grad().defined()) continue;
      Moments& moments = own.moments[i];
      if (!moments.steps.defined())
        moments = {at::zeros_like(value), at::zeros_like(value), at::zeros_like(own.one)};
      values.push_back(value);
      gradients.push_back(value.grad());
      averages.push_back(moments.average);
      squares.push_back(moments.square);
      steps.push_back(moments.steps);
    }
    if (values.empty()) continue;
    if (clip.defined()) at::_foreach_mul_(gradients, clip);
    at::_foreach_add_(steps, own.one);
    at::_fused_adamw_(values, gradients, averages, squares, {}, steps, group.first * factor,
                      own.options.beta1, own.options.beta2, group.second, own.options.epsilon,
                      /*amsgrad=*/false,
                      /*maximize=*/false, /*grad_scale=*/std::nullopt, skip);
    at::_foreach_sub_(steps, std::vector<at::Tensor>(steps.size(), skip));  // an update skipped is none
  }
  drop_gradients();
  return skip;
}

double Optimizer::checked_norm(double norm, std::span<const double> norms) const {
  if (std::isfinite(norm)) return norm;
  std::size_t worst = 0;
  for (std::size_t i = 0; i < norms.size() && std::isfinite(norms[worst]); ++i) {
    if (!std::isfinite(norms[i]) || norms[i] > norms[worst]) worst = i;
  }
  const std::string& name = implementation_->trained[worst].first;
  if (!std::isfinite(norms[worst])) {
    throw NotFiniteError(
        fmt::format("the norm of the gradient of '{}' is {}, expected a finite number", name, norms[worst]));
  }
  throw NotFiniteError(
      fmt::format("the norm of the gradients exceeds float32's range; the largest gradient is that of '{}', "
                  "of norm {:.3g}",
                  name, norms[worst]));
}

void Optimizer::drop_gradients() {
  for (const NamedTensor& tensor : implementation_->trained)
    at::Tensor(tensor.second).mutable_grad() = at::Tensor();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> list;
  for (std::size_t i = 0; i < implementation_->trained.size(); ++i) {
    const Moments& moments = implementation_->moments[i];
    const std::string& name = implementation_->trained[i].first;
    if (!moments.steps.defined()) continue;  // it had no gradient yet
    const std::int64_t steps = static_cast<std::int64_t>(moments.steps.item<float>());
    if (steps == 0) continue;  // all its updates were skipped
    list.emplace_back("exp_avg." + name, moments.average);
    list.emplace_back("exp_avg_sq." + name, moments.square);
    list.emplace_back("step." + name, at::tensor({steps}, at::kLong));
  }
  return list;
}

void Optimizer::restore(const std::vector<NamedTensor>& state, std::int64_t steps) {
  const std::map<std::string, at::Tensor> stored(state.begin(), state.end());
  std::vector<Moments> restored;
  for (const NamedTensor& tensor : implementation_->trained)
    restored.push_back(restored_moments(tensor, stored, steps));
  implementation_->moments = std::move(restored);
}

}  // namespace sdsclip

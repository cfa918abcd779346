#include "sdsclip/training/optimizer.h"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

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

std::vector<NamedTensor> gradients_of(const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> gradients;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.second.grad().defined()) gradients.emplace_back(tensor.first, tensor.second.grad());
  }
  return gradients;
}

double norm_of(const std::vector<NamedTensor>& tensors) {
  if (tensors.empty()) return 0;
  std::vector<at::Tensor> norms;
  for (const NamedTensor& tensor : tensors) norms.push_back(tensor.second.norm());
  // As in torch's `clip_grad_norm_`.
  return (norms.size() == 1 ? norms.front() : at::stack(norms).norm()).item<double>();
}

/// The error for gradients whose norm is not finite; it names the first one that is not finite, else the
/// largest.
NotFiniteError gradient_failure(const std::vector<NamedTensor>& gradients) {
  const NamedTensor* worst = &gradients.front();
  double largest = 0;
  for (const NamedTensor& gradient : gradients) {
    const double most = gradient.second.abs().max().item<double>();
    if (!std::isfinite(most)) {
      return NotFiniteError(
          fmt::format("the gradient of '{}' is {}, expected finite numbers", gradient.first, most));
    }
    if (most > largest) worst = &gradient;
    largest = std::max(largest, most);
  }
  return NotFiniteError(fmt::format(
      "the norm of the gradients exceeds float32's range; the largest gradient is that of '{}', up to {:.3g}",
      worst->first, largest));
}

/// AdamW's state of one parameter from a checkpoint after `steps` steps; null if it has none.
std::unique_ptr<torch::optim::AdamWParamState> restored_state(const NamedTensor& tensor,
                                                              const std::map<std::string, at::Tensor>& stored,
                                                              std::int64_t steps) {
  const auto find = [&](const char* kind) {
    const auto found = stored.find(std::string(kind) + tensor.first);
    return found == stored.end() ? at::Tensor() : found->second;
  };
  const at::Tensor average = find("exp_avg.");
  const at::Tensor square = find("exp_avg_sq.");
  const at::Tensor step = find("step.");
  if (!average.defined() && !square.defined() && !step.defined()) return nullptr;
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
  const c10::Device device = tensor.second.device();
  std::unique_ptr<torch::optim::AdamWParamState> state = std::make_unique<torch::optim::AdamWParamState>();
  // Clones, because the optimizer updates them in place and the caller's tensors must not change.
  state->exp_avg(average.to(device).clone());
  state->exp_avg_sq(square.to(device).clone());
  state->step(step.item<std::int64_t>());
  return state;
}

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
  std::vector<double> peak_rates;  // per parameter group
  double grad_clip_norm = 0;
  std::unique_ptr<torch::optim::AdamW> adamw;
};

Optimizer::Optimizer(const std::vector<NamedTensor>& trained, const TrainOptions& options)
    : implementation_(std::make_unique<Implementation>()) {
  Implementation& own = *implementation_;
  own.trained = trained;
  own.grad_clip_norm = options.grad_clip_norm;

  // The key is (is it h_w's, is it free of decay); the order of the groups changes no result.
  std::map<std::pair<bool, bool>, std::vector<at::Tensor>> groups;
  for (const NamedTensor& tensor : trained) {
    groups[{owner_of(tensor.first) == ParameterOwner::kMap, is_gain_or_bias(tensor)}].push_back(
        tensor.second);
  }
  std::vector<torch::optim::OptimizerParamGroup> param_groups;
  for (const auto& [key, tensors] : groups) {
    const auto [is_map, without_decay] = key;
    const double rate = is_map && options.lr_h_w > 0 ? options.lr_h_w : options.lr;
    std::unique_ptr<torch::optim::AdamWOptions> group_options =
        std::make_unique<torch::optim::AdamWOptions>(rate);
    group_options->betas({options.beta1, options.beta2});
    group_options->eps(options.epsilon);
    group_options->weight_decay(without_decay ? 0.0 : options.weight_decay);
    param_groups.emplace_back(tensors, std::move(group_options));
    own.peak_rates.push_back(rate);
  }
  own.adamw = std::make_unique<torch::optim::AdamW>(param_groups);
}

Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

double Optimizer::step(double factor) {
  Implementation& own = *implementation_;
  const std::vector<NamedTensor> gradients = gradients_of(own.trained);
  const double norm = norm_of(gradients);
  if (!std::isfinite(norm)) throw gradient_failure(gradients);
  if (own.grad_clip_norm > 0) {
    std::vector<at::Tensor> parameters;
    for (const NamedTensor& tensor : own.trained) parameters.push_back(tensor.second);
    torch::nn::utils::clip_grad_norm_(parameters, own.grad_clip_norm);
  }
  for (std::size_t i = 0; i < own.peak_rates.size(); ++i) {
    own.adamw->param_groups()[i].options().set_lr(own.peak_rates[i] * factor);
  }
  own.adamw->step();
  own.adamw->zero_grad();
  return norm;
}

void Optimizer::drop_gradients() {
  implementation_->adamw->zero_grad();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> list;
  for (const NamedTensor& tensor : implementation_->trained) {
    const auto found = implementation_->adamw->state().find(tensor.second.unsafeGetTensorImpl());
    if (found == implementation_->adamw->state().end()) continue;  // it had no gradient yet
    const torch::optim::AdamWParamState& state =
        static_cast<const torch::optim::AdamWParamState&>(*found->second);
    list.emplace_back("exp_avg." + tensor.first, state.exp_avg());
    list.emplace_back("exp_avg_sq." + tensor.first, state.exp_avg_sq());
    list.emplace_back("step." + tensor.first, at::tensor({state.step()}, at::kLong));
  }
  return list;
}

void Optimizer::restore(const std::vector<NamedTensor>& state, std::int64_t steps) {
  const std::map<std::string, at::Tensor> stored(state.begin(), state.end());
  std::vector<std::unique_ptr<torch::optim::AdamWParamState>> restored;
  for (const NamedTensor& tensor : implementation_->trained)
    restored.push_back(restored_state(tensor, stored, steps));
  implementation_->adamw->state().clear();
  for (std::size_t i = 0; i < restored.size(); ++i) {
    if (!restored[i]) continue;
    implementation_->adamw->state()[implementation_->trained[i].second.unsafeGetTensorImpl()] =
        std::move(restored[i]);
  }
}

}  // namespace sdsclip

#include "sdsclip/training/optimizer.h"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <map>
#include <numbers>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

constexpr std::string_view kMapName = ".h_w.";

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// open_clip's rule for tensors that weight decay leaves alone.
bool is_gain_or_bias(const NamedTensor& tensor) {
  const std::string& name = tensor.first;
  return tensor.second.dim() < 2 || contains(name, "bn") || contains(name, "ln") || contains(name, "bias") ||
         contains(name, "logit_scale");
}

}  // namespace

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
  std::vector<double> peak_rates;  // of each parameter group
  double grad_clip_norm = 0;
  std::unique_ptr<torch::optim::AdamW> adamw;
};

Optimizer::Optimizer(const std::vector<NamedTensor>& trained, const TrainOptions& options)
    : implementation_(std::make_unique<Implementation>()) {
  Implementation& own = *implementation_;
  own.trained = trained;
  own.grad_clip_norm = options.grad_clip_norm;

  // Keyed by (is it h_w's, is it free of decay); the order of the groups changes no result.
  std::map<std::pair<bool, bool>, std::vector<at::Tensor>> groups;
  for (const NamedTensor& tensor : trained) {
    groups[{contains(tensor.first, kMapName), is_gain_or_bias(tensor)}].push_back(tensor.second);
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
  std::vector<at::Tensor> with_gradient;
  for (const NamedTensor& tensor : own.trained) {
    if (tensor.second.grad().defined()) with_gradient.push_back(tensor.second);
  }
  const double limit = own.grad_clip_norm > 0 ? own.grad_clip_norm : std::numeric_limits<double>::infinity();
  const double norm = torch::nn::utils::clip_grad_norm_(with_gradient, limit);
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

void Optimizer::restore(const std::vector<NamedTensor>& state) {
  std::map<std::string, at::Tensor> named(state.begin(), state.end());
  implementation_->adamw->state().clear();
  for (const NamedTensor& tensor : implementation_->trained) {
    const auto average = named.find("exp_avg." + tensor.first);
    if (average == named.end()) continue;
    std::unique_ptr<torch::optim::AdamWParamState> restored =
        std::make_unique<torch::optim::AdamWParamState>();
    const c10::Device device = tensor.second.device();
    // Clones: the optimizer updates them in place, and they must not stay another's.
    restored->exp_avg(average->second.to(device).clone());
    restored->exp_avg_sq(named.at("exp_avg_sq." + tensor.first).to(device).clone());
    restored->step(named.at("step." + tensor.first).item<std::int64_t>());
    implementation_->adamw->state()[tensor.second.unsafeGetTensorImpl()] = std::move(restored);
  }
}

}  // namespace sdsclip

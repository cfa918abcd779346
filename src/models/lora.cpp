#include "sdsclip/models/lora.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "sdsclip/base/error.h"
#include "sdsclip/base/random.h"

namespace sdsclip {
namespace {

bool is_weight_matrix(const NamedTensor& parameter) {
  return parameter.second.dim() >= 2 && parameter.first.ends_with("weight");
}

/// Uniform within 1 / sqrt(in): PyTorch's `kaiming_uniform_(a=sqrt(5))`, which Hu et al. use.
at::Tensor initial_a(std::int64_t rank, std::int64_t in, std::uint64_t seed, const std::string& name) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  at::Tensor a = at::empty({rank, in}, at::kFloat);
  float* values = a.data_ptr<float>();
  RandomSequence random(seed, stream_of("lora/" + name));
  for (std::int64_t i = 0; i < a.numel(); ++i) values[i] = static_cast<float>(random.uniform(-bound, bound));
  return a;
}

LoraAdapter make_adapter(const NamedTensor& parameter, const LoraOptions& options, std::uint64_t seed) {
  const auto& [name, weight] = parameter;
  const std::int64_t out = weight.size(0);
  const std::int64_t in = weight.numel() / out;
  if (options.rank > std::min(out, in)) {
    throw usage_error("train.lora.rank: got {}, expected {} or less, the rank of '{}' ({} by {})",
                      options.rank, std::min(out, in), name, out, in);
  }
  LoraAdapter adapter;
  adapter.name = name;
  adapter.weight = weight;
  adapter.frozen = weight.detach().clone();
  adapter.a = initial_a(options.rank, in, seed, name).to(weight.device()).set_requires_grad(true);
  adapter.b = at::zeros({out, options.rank}, weight.options().requires_grad(true));
  adapter.scale = options.alpha / static_cast<double>(options.rank);
  adapter.weight.set_requires_grad(true);
  return adapter;
}

void add_to_gradient(at::Tensor parameter, const at::Tensor& gradient) {
  at::Tensor& sum = parameter.mutable_grad();
  sum = sum.defined() ? sum + gradient : gradient;
}

}  // namespace

void visit_options(OptionVisitor& visitor, LoraOptions& options) {
  constexpr std::int64_t kMostRank = 65536;  // wider than any weight
  visitor.count("rank", options.rank, {1, kMostRank},
                "Rank r of each update. Raise it if the training loss stays high.");
  visitor.number("alpha", options.alpha, {.least = 0, .without_least = true},
                 "Scale of the update: it is alpha / r times B A.");
  visitor.option(
      "targets", options.targets,
      "Parts of the names of the weights to adapt, such as [attn], [attn, mlp] or [visual.transformer].");
}

std::vector<LoraAdapter> add_lora(const ClipModel& model, const LoraOptions& options, std::uint64_t seed) {
  std::vector<LoraAdapter> adapters;
  std::string example;
  std::vector<bool> matched(options.targets.size(), false);
  for (const NamedTensor& parameter : model.parameters()) {
    if (!is_weight_matrix(parameter)) continue;
    example = parameter.first;
    bool is_target = false;
    for (std::size_t i = 0; i < options.targets.size(); ++i) {
      if (parameter.first.find(options.targets[i]) == std::string::npos) continue;
      matched[i] = is_target = true;
    }
    if (is_target) adapters.push_back(make_adapter(parameter, options, seed));
  }
  for (std::size_t i = 0; i < matched.size(); ++i) {
    if (matched[i]) continue;
    throw usage_error("train.lora.targets: got '{}', expected a part of a weight's name in {}, such as '{}'",
                      options.targets[i], model.bundle().folder.string(), example);
  }
  return adapters;
}

void merge_lora(std::span<const LoraAdapter> adapters) {
  const at::NoGradGuard no_grad;
  for (const LoraAdapter& adapter : adapters) {
    const at::Tensor update = adapter.b.mm(adapter.a).mul_(adapter.scale);
    at::Tensor weight = adapter.weight;
    weight.copy_(adapter.frozen).add_(update.view_as(weight));
  }
}

void project_lora_gradients(std::span<const LoraAdapter> adapters) {
  const at::NoGradGuard no_grad;
  for (const LoraAdapter& adapter : adapters) {
    at::Tensor weight = adapter.weight;
    if (!weight.grad().defined()) continue;
    const at::Tensor gradient = weight.grad().flatten(1);
    add_to_gradient(adapter.a, adapter.b.t().mm(gradient) * adapter.scale);
    add_to_gradient(adapter.b, gradient.mm(adapter.a.t()) * adapter.scale);
    weight.mutable_grad() = at::Tensor();
  }
}

std::vector<NamedTensor> lora_parameters(std::span<const LoraAdapter> adapters) {
  std::vector<NamedTensor> parameters;
  for (const LoraAdapter& adapter : adapters) {
    parameters.emplace_back("lora." + adapter.name + ".a", adapter.a);
    parameters.emplace_back("lora." + adapter.name + ".b", adapter.b);
  }
  return parameters;
}

std::vector<NamedTensor> adapted_weights(std::span<const LoraAdapter> adapters) {
  std::vector<NamedTensor> weights;
  for (const LoraAdapter& adapter : adapters) weights.emplace_back(adapter.name, adapter.weight);
  return weights;
}

}  // namespace sdsclip

#include "sdsclip/models/trainable.h"

#include <torch/script.h>

#include <algorithm>
#include <set>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

constexpr std::string_view kMapName = ".h_w.";
constexpr std::string_view kTemperature = "logit_scale";
constexpr std::string_view kLogitBias = "logit_bias";
constexpr std::string_view kImageTower = "visual";          // open_clip
constexpr std::string_view kImageTowerHf = "vision_model";  // transformers

/// The class name in the source library; the qualified name is mangled in traces.
std::string class_name(const torch::jit::Module& module) {
  const c10::optional<c10::QualifiedName>& name = module.type()->name();
  return name ? name->name() : "";
}

bool is_layer_norm(const std::string& name) {
  return name.find("LayerNorm") != std::string::npos;
}
bool is_batch_norm(const std::string& name) {
  return name.find("BatchNorm") != std::string::npos;
}

bool in_image_tower(std::string_view path) {
  return path.starts_with(kImageTower) || path.starts_with(kImageTowerHf);
}

/// The names of the parameters owned directly by layers for which `matches` holds.
template <typename Matches>
std::set<std::string> parameters_of_layers(const torch::jit::Module& root, Matches&& matches) {
  std::set<std::string> names;
  for (const auto& layer : root.named_modules()) {
    if (!matches(layer.name, class_name(layer.value))) continue;
    for (const auto& parameter : layer.value.named_parameters(/*recurse=*/false)) {
      names.insert(layer.name.empty() ? parameter.name : layer.name + "." + parameter.name);
    }
  }
  return names;
}

std::set<std::string> norm_parameters(const torch::jit::Module& root) {
  std::set<std::string> names = parameters_of_layers(
      root, [](const std::string&, const std::string& type) { return is_layer_norm(type); });
  const bool image_tower_has_layer_norm =
      std::any_of(names.begin(), names.end(), [](const std::string& name) { return in_image_tower(name); });
  if (!image_tower_has_layer_norm) {
    names.merge(parameters_of_layers(root, [](const std::string& path, const std::string& type) {
      return is_batch_norm(type) && in_image_tower(path);
    }));
  }
  return names;
}

bool is_tuned(const std::string& name, const std::set<std::string>& norms, Tune tune) {
  switch (tune) {
    case Tune::kLayerNorm:
      return norms.contains(name);
    case Tune::kLayerNormBias:
      return norms.contains(name) || name.ends_with("bias");
    case Tune::kLora:
      return false;
    case Tune::kAll:
      break;
  }
  return true;
}

}  // namespace

std::vector<NamedTensor> select_trainable(const ClipModel& model, Tune tune, bool tune_temperature,
                                          bool tune_bias) {
  const std::set<std::string> norms = norm_parameters(model.module());
  std::vector<NamedTensor> selected;
  for (const NamedTensor& parameter : model.parameters()) {
    const std::string& name = parameter.first;
    bool trains = is_tuned(name, norms, tune);
    if (name == kTemperature) trains = tune_temperature;
    if (name == kLogitBias) trains = tune_bias;
    at::Tensor tensor = parameter.second;
    tensor.set_requires_grad(trains);
    if (trains) selected.emplace_back(name, tensor);
  }
  if (selected.empty() && tune != Tune::kLora) {
    throw usage_error("{}: train.tune selects no parameter of this model", model.bundle().folder.string());
  }
  return selected;
}

ParameterOwner owner_of(std::string_view name) {
  return name.find(kMapName) == std::string_view::npos ? ParameterOwner::kClip : ParameterOwner::kMap;
}

std::string map_parameter_name(std::string_view loss, std::string_view parameter) {
  return fmt::format("{}{}{}", loss, kMapName, parameter);
}

bool any_in_image_tower(const std::vector<NamedTensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const NamedTensor& tensor) { return in_image_tower(tensor.first); });
}

std::int64_t element_count(const std::vector<NamedTensor>& tensors) {
  std::int64_t count = 0;
  for (const NamedTensor& tensor : tensors) count += tensor.second.numel();
  return count;
}

}  // namespace sdsclip

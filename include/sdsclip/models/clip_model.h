#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sdsclip/models/bundle.h"
#include "sdsclip/models/device.h"

namespace torch::jit {
struct Module;
}

namespace sdsclip {

/// A tensor under the source library's name.
using NamedTensor = std::pair<std::string, at::Tensor>;

/// The student: the image and the text tower of a clip bundle.
class ClipModel {
 public:
  /// Loads `clip.ts` (its SHA-256 is checked first) onto the placement's device, all parameters frozen.
  /// Throws `Error(kInput)` where the archive is not what the bundle says.
  ClipModel(const Bundle& bundle, const Placement& placement);
  ~ClipModel();
  ClipModel(ClipModel&&) noexcept;
  ClipModel& operator=(ClipModel&&) noexcept;

  /// `pixels` f32[B, 3, size, size], normalised -> f32[B, D], not of unit norm.
  [[nodiscard]] at::Tensor encode_image(const at::Tensor& pixels) const;
  /// `ids` i64[B, context_length] -> f32[B, D], not of unit norm.
  [[nodiscard]] at::Tensor encode_text(const at::Tensor& ids) const;
  /// The stored logarithm, f32[] or f32[1].
  [[nodiscard]] at::Tensor logit_scale() const;
  /// What SigLIP adds to each logit, f32[] or f32[1]; undefined where the model has none.
  [[nodiscard]] at::Tensor logit_bias() const;

  /// Every parameter, and every buffer, by name in the archive's order. The tensors share the model's
  /// storage.
  [[nodiscard]] std::vector<NamedTensor> parameters() const;
  [[nodiscard]] std::vector<NamedTensor> buffers() const;

  [[nodiscard]] const Bundle& bundle() const { return bundle_; }
  [[nodiscard]] const Placement& placement() const { return placement_; }
  [[nodiscard]] const torch::jit::Module& module() const { return *module_; }

 private:
  Bundle bundle_;
  Placement placement_;
  std::unique_ptr<torch::jit::Module> module_;
};

/// Overwrites the model's parameters with those of a `tuned.safetensors`; `sds.h_w.*` and `feature.h_w.*` are
/// passed over. Throws `Error(kInput)` on a name that the model does not have and on another shape or dtype.
void load_tuned(ClipModel& model, const std::filesystem::path& file);

/// Writes the model as it is now as a bundle of its own, named `name`, whole or not at all.
void save_bundle(const ClipModel& model, const std::string& name, const std::filesystem::path& folder);

}  // namespace sdsclip

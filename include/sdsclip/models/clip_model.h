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

/// A tensor and its name in the source library.
using NamedTensor = std::pair<std::string, at::Tensor>;

/// The student: image tower and text tower of a CLIP bundle.
class ClipModel {
 public:
  /// Loads `clip.ts`, after a check of its SHA-256, onto the placement's device. All parameters are frozen.
  /// Throws `Error(kInput)` if the archive does not match the bundle.
  ClipModel(const Bundle& bundle, const Placement& placement);
  ~ClipModel();
  ClipModel(ClipModel&&) noexcept;
  ClipModel& operator=(ClipModel&&) noexcept;

  /// `pixels` f32[B, 3, size, size], normalised -> embeddings f32[B, D], not of unit norm.
  [[nodiscard]] at::Tensor encode_image(const at::Tensor& pixels) const;
  /// `ids` i64[B, context_length] -> embeddings f32[B, D], not of unit norm.
  [[nodiscard]] at::Tensor encode_text(const at::Tensor& ids) const;
  /// The logit scale's logarithm, as stored: f32[] or f32[1].
  [[nodiscard]] at::Tensor logit_scale() const;
  /// SigLIP's bias, added to each logit: f32[] or f32[1]; undefined for a model without one.
  [[nodiscard]] at::Tensor logit_bias() const;

  /// All parameters, or all buffers, in the archive's order. The tensors share the model's storage.
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

/// Overwrites the model's parameters with those of a `tuned.safetensors`. It skips `sds.h_w.*` and
/// `feature.h_w.*`. Throws `Error(kInput)` on a name that the model lacks and on a different shape or dtype.
void load_tuned(ClipModel& model, const std::filesystem::path& file);

/// Writes the model with its current weights as a bundle named `name`, whole or not at all.
void save_bundle(const ClipModel& model, const std::string& name, const std::filesystem::path& folder);

}  // namespace sdsclip

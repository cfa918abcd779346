#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sdsclip {

/// A file in Hugging Face's safetensors format: named tensors on the CPU in the file's order, and free text
/// metadata.
struct SafetensorsFile {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<std::string, std::string> metadata;

  /// Throws `Error(kInput)` that names `path` where there is no such tensor.
  [[nodiscard]] const at::Tensor& at(const std::string& name, const std::filesystem::path& path) const;
};

/// Reads the whole file. Throws `Error(kInput)` on anything that the format's specification forbids: a header
/// that is too long or not JSON, offsets that overlap, leave gaps or point outside, a size that is not that
/// of shape and dtype.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes the file whole or not at all; tensors are brought to the CPU and made contiguous. Names must be
/// unique.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, at::Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sdsclip

#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sdsclip {

/// The content of a file in Hugging Face's safetensors format: named CPU tensors in the file's order, and
/// text metadata.
struct SafetensorsFile {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<std::string, std::string> metadata;

  /// Throws `Error(kInput)` that names `path` if there is no such tensor.
  [[nodiscard]] const at::Tensor& at(const std::string& name, const std::filesystem::path& path) const;
};

/// Reads a whole file. Throws `Error(kInput)` on anything that the format's specification forbids: a header
/// that is too long or not JSON, offsets that overlap, leave gaps or lie outside the file, or a size that
/// contradicts shape and dtype.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes a file whole or not at all. Tensors are copied to the CPU and made contiguous. Names must be
/// unique.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, at::Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace sdsclip

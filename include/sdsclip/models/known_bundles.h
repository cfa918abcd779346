#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace sdsclip {

/// A bundle that `configs/` and docs/models.md name.
struct KnownBundle {
  std::string_view name;       ///< its folder's name
  std::string_view script;     ///< the script that makes it
  std::string_view arguments;  ///< the script's arguments without `--out`
};

std::span<const KnownBundle> known_bundles();

/// The command that exports the known bundle with this folder's name to this path; empty for an unknown name.
std::string export_command(const std::filesystem::path& folder);

}  // namespace sdsclip

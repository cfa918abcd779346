#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace sdsclip {

/// A regular file in a tar, and where its bytes lie.
struct TarMember {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Calls `visit` for each regular file of an uncompressed tar, in the tar's order, without reading the files.
/// Throws `Error(kInput)` that names the tar where it is missing, damaged, cut short or compressed.
void visit_tar(const std::filesystem::path& path, const std::function<void(const TarMember&)>& visit);

}  // namespace sdsclip

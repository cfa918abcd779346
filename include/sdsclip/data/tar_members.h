#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// The place of a regular file in a tar.
struct TarMember {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Calls `visit` for each regular file of an uncompressed tar, in the tar's order, without reading the files.
/// Throws `Error(kInput)` that names the tar if it is missing, damaged, truncated or compressed.
void visit_tar(const fs::path& path, const std::function<void(const TarMember&)>& visit);

}  // namespace sdsclip

#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// A file inside a tar, and where its bytes lie in it.
struct TarEntry {
  std::string name;
  ByteRange range;
};

/// The regular files of an uncompressed tar, in its order, without reading them. Throws `Error(kInput)` that
/// names the tar where it is missing, damaged or compressed.
std::vector<TarEntry> index_tar(const std::filesystem::path& path);

/// The bytes of `range` in `path`. Throws `Error(kInput)` where the file is shorter.
std::string read_range(const std::filesystem::path& path, const ByteRange& range);

}  // namespace sdsclip

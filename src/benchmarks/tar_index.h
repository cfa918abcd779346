#pragma once

#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The place of a file inside a tar.
struct TarEntry {
  std::string name;
  ByteRange range;
};

/// Lists the regular files of an uncompressed tar in order, without reading them. Throws `Error(kInput)` that
/// names the tar if it is missing, damaged or compressed.
std::vector<TarEntry> index_tar(const fs::path& path);

/// Reads the bytes of `range` in `path`. Throws `Error(kInput)` if the file is shorter.
std::string read_range(const fs::path& path, const ByteRange& range);

}  // namespace sdsclip

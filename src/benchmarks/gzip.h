#pragma once

#include <string>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// Unpacks a .gz file of at most 1 GiB. Throws `Error(kInput)` that names the file if it cannot be read, is
/// damaged or truncated, or holds more.
std::string read_gzip(const fs::path& path);

}  // namespace sdsclip

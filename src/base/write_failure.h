#pragma once

#include <filesystem>

#include "sdsclip/base/error.h"

namespace sdsclip {

/// What a user is told where `path` cannot be written, by the system's error number: `Error(kRuntime)` on a
/// full or broken disk, else `Error(kInput)`.
Error write_failure(const std::filesystem::path& path, int error_number);

}  // namespace sdsclip

#pragma once

#include <filesystem>

#include "sdsclip/base/error.h"

namespace sdsclip {

/// The error for a failed write to `path`, by the system's error number: `Error(kRuntime)` for a full or
/// broken disk, else `Error(kInput)`.
Error write_failure(const std::filesystem::path& path, int error_number);

}  // namespace sdsclip

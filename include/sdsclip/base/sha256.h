#pragma once

#include <string>
#include <string_view>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);

/// The SHA-256 of a file, which is read in pieces. Throws `Error(kInput)` if it cannot be read.
std::string sha256_of_file(const fs::path& path);

}  // namespace sdsclip

#pragma once

#include <filesystem>
#include <string>

namespace sdsclip {

/// What a .gz file holds, 1 GiB at most. Throws `Error(kInput)` that names the file where it cannot be read,
/// is damaged or cut short, or holds more.
std::string read_gzip(const std::filesystem::path& path);

}  // namespace sdsclip

#pragma once

#include <filesystem>

namespace sdsclip {

namespace fs = std::filesystem;

/// Whether a file or folder has this name; false if that cannot be found out.
inline bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace sdsclip

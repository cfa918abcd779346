#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "sdsclip/base/files.h"

namespace sdsclip {

/// Random access to an open file. Several threads may read at once. Errors name the file.
class FileReader {
 public:
  /// Throws `Error(kInput)` if the file is missing, unreadable, or not a regular file (a folder, a named
  /// pipe, a device). It never waits.
  explicit FileReader(fs::path path);

  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] std::uint64_t size() const { return file_.size; }
  [[nodiscard]] int descriptor() const { return file_.descriptor.get(); }

  /// Reads bytes [offset, offset + count). Throws `Error(kInput)` if the file ends earlier, for example
  /// because it was changed after it was indexed.
  [[nodiscard]] std::string read(std::uint64_t offset, std::size_t count) const;

 private:
  fs::path path_;
  OpenFile file_;
};

}  // namespace sdsclip

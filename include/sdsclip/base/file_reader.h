#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace sdsclip {

/// Random access to an open file. Several threads may read at once. Errors name the file.
class FileReader {
 public:
  /// Throws `Error(kInput)` if the file is missing, unreadable, or not a regular file (a folder, a named
  /// pipe, a device). It never waits.
  explicit FileReader(std::filesystem::path path);
  ~FileReader();
  FileReader(FileReader&& other) noexcept;
  FileReader& operator=(FileReader&& other) noexcept;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

  /// Reads bytes [offset, offset + count). Throws `Error(kInput)` if the file ends earlier, for example
  /// because it was changed after it was indexed.
  [[nodiscard]] std::string read(std::uint64_t offset, std::size_t count) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace sdsclip

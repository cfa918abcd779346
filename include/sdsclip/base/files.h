#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// Size limits of files that are read whole.
inline constexpr std::uint64_t kSmallFileBytes = std::uint64_t{64} << 20;  ///< a result, a list of names
inline constexpr std::uint64_t kDataFileBytes = std::uint64_t{2} << 30;    ///< a table, annotations
inline constexpr std::uint64_t kAnySize = ~std::uint64_t{0};               ///< weights

/// Closes an open file at the end of its life; -1: none.
class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor = -1) : descriptor_(descriptor) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor other) noexcept;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

struct OpenFile {
  FileDescriptor descriptor;
  std::uint64_t size = 0;
};

/// Opens a file for reading. Throws `Error(kInput)` that names the file if it is missing, unreadable or not a
/// regular file. It never waits for a pipe or a device.
OpenFile open_regular_file(const fs::path& path);

/// Returns the whole file. Throws `Error(kInput)` like `open_regular_file`, and if the file has more than
/// `most_bytes`.
std::string read_file(const fs::path& path, std::uint64_t most_bytes = kDataFileBytes);

/// Writes `bytes` so that `path` appears whole or not at all, even across a crash: a temporary file beside it
/// is flushed to disk and renamed. Temporary files of killed writers are removed. Throws `Error(kRuntime)` if
/// the disk is full, and `Error(kInput)` if the folder cannot be written.
void write_file_atomically(const fs::path& path, std::string_view bytes);

/// The error for a failed write to `path`, by the system's error number: `Error(kRuntime)` for a full or
/// broken disk, else `Error(kInput)`.
Error write_failure(const fs::path& path, int error_number);

/// The temporary name that this process writes to before it renames the file to `path`.
fs::path temporary_path(const fs::path& path);

/// Removes temporary files and folders of `path` that killed processes left.
void remove_leftovers(const fs::path& path);

/// Creates the folder and its parents. Throws `Error(kInput)` if that fails.
void create_folder(const fs::path& folder);

/// A folder that appears whole or not at all: fill `path()`, then `commit()` renames it to its final name and
/// replaces what is there. Without a commit, the destructor removes the temporary folder.
class AtomicFolder {
 public:
  explicit AtomicFolder(fs::path final_path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  [[nodiscard]] const fs::path& path() const { return temporary_; }
  void commit();

 private:
  fs::path final_;
  fs::path temporary_;
  bool committed_ = false;
};

/// The folder that an environment variable names; `fallback` if the variable is not set or empty.
fs::path folder_from_environment(const char* variable, const char* fallback);

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sdsclip {

/// Size limits of files that are read whole.
inline constexpr std::uint64_t kSmallFileBytes = std::uint64_t{64} << 20;  ///< a result, a list of names
inline constexpr std::uint64_t kDataFileBytes = std::uint64_t{2} << 30;    ///< a table, annotations
inline constexpr std::uint64_t kAnySize = ~std::uint64_t{0};               ///< weights

/// Opens a file for reading and returns its descriptor. Throws `Error(kInput)` that names the file if it is
/// missing, unreadable or not a regular file. It never waits for a pipe or a device.
int open_regular_file(const std::filesystem::path& path);

/// Returns the whole file. Throws `Error(kInput)` like `open_regular_file`, and if the file has more than
/// `most_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t most_bytes = kDataFileBytes);

/// Writes `bytes` so that `path` appears whole or not at all, even across a crash: a temporary file beside it
/// is flushed to disk and renamed. Temporary files of killed writers are removed. Throws `Error(kRuntime)` if
/// the disk is full, and `Error(kInput)` if the folder cannot be written.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// The temporary name that this process writes to before it renames the file to `path`.
std::filesystem::path temporary_path(const std::filesystem::path& path);

/// Removes temporary files and folders of `path` that killed processes left.
void remove_leftovers(const std::filesystem::path& path);

/// Creates the folder and its parents. Throws `Error(kInput)` if that fails.
void create_folder(const std::filesystem::path& folder);

/// A folder that appears whole or not at all: fill `path()`, then `commit()` renames it to its final name and
/// replaces what is there. Without a commit, the destructor removes the temporary folder.
class AtomicFolder {
 public:
  explicit AtomicFolder(std::filesystem::path final_path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// The folder that an environment variable names; `fallback` if the variable is not set or empty.
std::filesystem::path folder_from_environment(const char* variable, const char* fallback);

}  // namespace sdsclip

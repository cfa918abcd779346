#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace sdsclip {

/// What a file that is read whole may have at most.
inline constexpr std::uint64_t kSmallFileBytes = std::uint64_t{64} << 20;  ///< a result, a list of names
inline constexpr std::uint64_t kDataFileBytes = std::uint64_t{2} << 30;    ///< a table, annotations
inline constexpr std::uint64_t kAnySize = ~std::uint64_t{0};               ///< weights

/// Opens a file for reading and returns its descriptor. Throws `Error(kInput)` that names the file where it
/// is missing or unreadable, or is anything but a regular file: a folder, a device, a pipe, on which it never
/// waits.
int open_regular_file(const std::filesystem::path& path);

/// The whole file as bytes. Throws `Error(kInput)` as `open_regular_file` does, and where the file has more
/// than `most_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t most_bytes = kDataFileBytes);

/// Writes `bytes` so that `path` appears whole or not at all, even across a crash: a temporary file beside it
/// is flushed to the disk and renamed over it; those of killed writers of `path` are removed. Throws
/// `Error(kRuntime)` on a full disk, `Error(kInput)` where the folder cannot be written (a read-only mount).
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// The name under which this process writes `path` before a rename puts it there.
std::filesystem::path temporary_path(const std::filesystem::path& path);

/// Removes the files and folders under the temporary names of `path` whose writers have been killed.
void remove_leftovers(const std::filesystem::path& path);

/// Creates the folder and its parents. Throws `Error(kInput)` where that is not possible.
void create_folder(const std::filesystem::path& folder);

/// A folder that appears whole or not at all: fill `path()`, then `commit()` renames it to its final name,
/// replacing what is there and what killed writers left. Without a commit, the temporary folder is removed.
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

}  // namespace sdsclip

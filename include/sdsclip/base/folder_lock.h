#pragma once

#include <filesystem>

namespace sdsclip {

/// A run's folder as one process's own: every command that writes into one holds this while it does. The lock
/// is an advisory one of the system on `FOLDER/.lock`, which says who holds it. It ends with its process,
/// however that ends, and what a killed process left of the file blocks nobody. Over NFS it is the server's
/// lock; where a file system has no locks, a warning says that the folder is not protected.
class FolderLock {
 public:
  /// Creates the folder where it is not there. Throws `Error(kUsage)` that names process, host, time and
  /// command where another process holds it, `Error(kInput)` where the folder cannot be written.
  explicit FolderLock(std::filesystem::path folder);
  /// Removes the file, and the folder where this lock created it and nothing else is in it. In a forked child
  /// nothing: the lock stays its parent's.
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path folder_;
  bool created_folder_ = false;
  int descriptor_ = -1;
  int owner_ = 0;  // process
};

}  // namespace sdsclip

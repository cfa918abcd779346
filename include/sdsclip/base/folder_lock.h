#pragma once

#include "sdsclip/base/files.h"

namespace sdsclip {

/// Locks a run's folder for one process. Every command that writes into such a folder holds this lock. It is
/// an advisory system lock on `FOLDER/.lock`, which names the holder. The system releases it when the process
/// ends, so a killed process blocks nobody. Over NFS it is the server's lock. If the file system has no
/// locks, a warning says so.
class FolderLock {
 public:
  /// Creates the folder if it is missing. Throws `Error(kUsage)` that names process, host, time and command
  /// if another process holds the lock, and `Error(kInput)` if the folder cannot be written.
  explicit FolderLock(fs::path folder);
  /// Removes the lock file, and the folder if this lock created it and it is empty. In a forked child it does
  /// nothing, because the lock still belongs to the parent.
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  fs::path folder_;
  bool created_folder_ = false;
  FileDescriptor file_;
  int owner_ = 0;  // process id
};

}  // namespace sdsclip

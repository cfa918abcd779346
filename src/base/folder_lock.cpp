#include "sdsclip/base/folder_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "sdsclip/base/log.h"

namespace sdsclip {
namespace {

constexpr const char* kLockFile = ".lock";
constexpr std::size_t kLongestCommand = 300;  // bytes of the command that are shown

std::string this_host() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string this_command() {
  std::string command = read_file("/proc/self/cmdline");
  while (command.ends_with('\0')) command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command.size() <= kLongestCommand ? command : command.substr(0, kLongestCommand) + " ...";
}

std::string time_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

/// The holder's text from the lock file. The file may hold anything, so the text is cleaned for a message.
std::string holder_of(int descriptor) {
  std::array<char, 1024> bytes{};
  const ssize_t count = ::pread(descriptor, bytes.data(), bytes.size(), 0);
  std::string text(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, ' ');
  text.erase(text.find_last_not_of(' ') + 1);
  return text.empty() ? "another process" : text;
}

int open_lock_file(const fs::path& path) {
  return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
}

/// Takes the system's lock of the whole open file. Returns 0 or the error number.
int take_lock(int descriptor) {
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  while (::fcntl(descriptor, F_OFD_SETLK, &whole) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/// Whether `path` still names the open file; the previous holder may have removed it.
bool is_same_file(int descriptor, const fs::path& path) {
  struct stat open_file = {};
  struct stat named = {};
  return ::fstat(descriptor, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

/// Writes the holder's text into the file; returns 0 or the error number.
int write_holder(int descriptor) {
  const std::string text =
      fmt::format("process {} on {} since {} ({})\n", ::getpid(), this_host(), time_now(), this_command());
  if (::ftruncate(descriptor, 0) != 0) return errno;
  const ssize_t count = ::pwrite(descriptor, text.data(), text.size(), 0);
  if (count < 0) return errno;
  return count == static_cast<ssize_t>(text.size()) ? 0 : ENOSPC;
}

}  // namespace

FolderLock::FolderLock(fs::path folder) : folder_(std::move(folder)), owner_(::getpid()) {
  const fs::path path = folder_ / kLockFile;
  while (true) {
    std::error_code ignored;
    const fs::file_status status = fs::status(folder_, ignored);
    if (!fs::exists(status)) {
      create_folder(folder_);
      created_folder_ = true;
    } else if (!fs::is_directory(status)) {
      throw input_error("{}: is a file, expected a folder; choose another --out", folder_.string());
    }
    file_ = FileDescriptor(open_lock_file(path));
    if (file_.get() < 0) {
      const int failure = errno;
      if (failure == ENOENT) continue;  // the last holder removed the folder in between
      if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored)) {
        throw input_error("{}: is no regular file, expected the lock file of a run; delete it",
                          path.string());
      }
      throw write_failure(path, failure);
    }
    const int failure = take_lock(file_.get());
    if (failure == EAGAIN || failure == EACCES) {
      throw usage_error("{}: is being written by {}; wait until it ends, or choose another --out",
                        folder_.string(), holder_of(file_.get()));
    }
    if (failure != 0) {
      log_warning("{}: cannot be locked ({}); make sure that no other process writes to it", folder_.string(),
                  std::strerror(failure));
    }
    if (failure != 0 || is_same_file(file_.get(), path)) break;
  }
  if (const int failure = write_holder(file_.get()); failure != 0) {
    ::unlink(path.c_str());
    if (created_folder_) ::rmdir(folder_.c_str());
    throw write_failure(path, failure);
  }
}

FolderLock::~FolderLock() {
  if (::getpid() != owner_) return;
  // The file is removed before it is closed: whoever waits for its lock then sees that it is stale.
  ::unlink((folder_ / kLockFile).c_str());
  if (created_folder_) ::rmdir(folder_.c_str());
}

}  // namespace sdsclip

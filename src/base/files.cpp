#include "sdsclip/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

namespace sdsclip {
namespace {

void flush_folder(const fs::path& folder) {
  const FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

constexpr std::string_view kTemporary = ".tmp-";  // followed by the writer's process id

/// Whether `name` is a temporary file of `final_name`, or SQLite's `-journal` beside it, and its writer is
/// dead.
bool is_leftover(const std::string& name, const std::string& final_name) {
  const std::size_t suffix = name.rfind(kTemporary);
  if (suffix == std::string::npos) return false;
  const std::string_view start = std::string_view(name).substr(0, suffix);
  if (start != final_name && start != final_name + ".old") return false;
  const char* const digits = name.c_str() + suffix + kTemporary.size();
  pid_t writer = 0;
  const std::from_chars_result read = std::from_chars(digits, name.c_str() + name.size(), writer);
  if (read.ec != std::errc() || (*read.ptr != '\0' && *read.ptr != '-') || writer <= 0) return false;
  return ::kill(writer, 0) != 0 && errno == ESRCH;
}

}  // namespace

Error write_failure(const fs::path& path, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  const ExitCode code = full || error_number == EIO ? ExitCode::kRuntime : ExitCode::kInput;
  return Error(code, fmt::format("{}: cannot write: {}; {}", path.string(), std::strerror(error_number),
                                 full ? "free some space and run again (with --resume if the command has it)"
                                      : "choose a folder that can be written"));
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

OpenFile open_regular_file(const fs::path& path) {
  // Without O_NONBLOCK, opening a pipe waits for its writer.
  FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &status) != 0) {
    throw input_error("{}: cannot read: {}", path.string(), std::strerror(errno));
  }
  if (S_ISREG(status.st_mode)) return {std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
  const char* const kind = S_ISDIR(status.st_mode) ? "folder" : S_ISFIFO(status.st_mode) ? "pipe" : "device";
  throw input_error("{}: is a {}, expected a regular file", path.string(), kind);
}

std::string read_file(const fs::path& path, std::uint64_t most_bytes) {
  const OpenFile file = open_regular_file(path);
  const auto check_size = [&](std::uint64_t size) {
    if (size <= most_bytes) return;
    throw input_error("{}: has more than {} bytes, the limit for this kind of file", path.string(),
                      most_bytes);
  };
  std::string bytes;
  check_size(file.size);
  // Reads one byte more than the stated size to find the end in the same read; files in /proc state 0.
  std::size_t done = 0;
  std::size_t room = file.size + 1;
  while (true) {
    bytes.resize(room);
    const ssize_t got = ::read(file.descriptor.get(), bytes.data() + done, room - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw input_error("{}: cannot read to its end: {}", path.string(), std::strerror(errno));
    done += static_cast<std::size_t>(got);
    if (got == 0) break;
    check_size(done);
    if (done == room) room += std::size_t{1} << 16;
  }
  bytes.resize(done);
  return bytes;
}

fs::path temporary_path(const fs::path& path) {
  return fmt::format("{}{}{}", path.string(), kTemporary, ::getpid());
}

void remove_leftovers(const fs::path& path) {
  std::vector<fs::path> leftovers;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent_of(path), ignored)) {
    if (is_leftover(entry.path().filename().string(), path.filename().string())) {
      leftovers.push_back(entry.path());
    }
  }
  for (const fs::path& leftover : leftovers) fs::remove_all(leftover, ignored);
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = temporary_path(path);
  int failure = 0;
  {
    const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) throw write_failure(path, errno);
    std::size_t written = 0;
    while (written < bytes.size() && failure == 0) {
      const ssize_t count = ::write(file.get(), bytes.data() + written, bytes.size() - written);
      if (count < 0) {
        if (errno != EINTR) failure = errno;
      } else {
        written += static_cast<std::size_t>(count);
      }
    }
    if (failure == 0 && ::fsync(file.get()) != 0) failure = errno;
  }
  if (failure == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failure = errno;
  if (failure != 0) {
    ::unlink(temporary.c_str());
    throw write_failure(path, failure);
  }
  flush_folder(parent_of(path));
  remove_leftovers(path);
}

void create_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw write_failure(folder, error.value());
}

AtomicFolder::AtomicFolder(fs::path final_path)
    : final_(std::move(final_path)), temporary_(temporary_path(final_)) {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  create_folder(temporary_);
}

AtomicFolder::~AtomicFolder() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  flush_folder(temporary_);
  std::error_code error;
  // rename() cannot replace a folder that is not empty, so the old one moves away first. Between the two
  // renames the final name is missing and `.old` holds the old folder. Readers of checkpoints then use the
  // checkpoint before.
  const fs::path old = temporary_path(final_.string() + ".old");
  fs::remove_all(old, error);
  if (fs::exists(final_)) fs::rename(final_, old, error);
  if (error) throw write_failure(final_, error.value());
  fs::rename(temporary_, final_, error);
  if (error) throw write_failure(final_, error.value());
  committed_ = true;
  fs::remove_all(old, error);
  flush_folder(parent_of(final_));
  remove_leftovers(final_);
}

fs::path folder_from_environment(const char* variable, const char* fallback) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : fallback;
}

}  // namespace sdsclip

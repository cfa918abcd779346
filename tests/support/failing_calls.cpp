#include "support/failing_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>

namespace sdsclip::testing {
namespace {

struct State {
  std::mutex mutex;
  bool armed = false;
  FailingCall failing;
  std::vector<std::string> calls;
  std::string log;
};

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

State& state() {
  static State* const only = [] {
    State* made = new State;  // never destroyed: calls come until the process ends
    made->failing = {.below = variable("SDSCLIP_FAIL_BELOW"),
                     .call = variable("SDSCLIP_FAIL_CALL"),
                     .count = std::strtoll(variable("SDSCLIP_FAIL_COUNT").c_str(), nullptr, 10)};
    const std::string error = variable("SDSCLIP_FAIL_ERRNO");
    if (!error.empty()) made->failing.error = std::atoi(error.c_str());
    made->log = variable("SDSCLIP_FAIL_LOG");
    made->armed = !made->failing.below.empty();
    return made;
  }();
  return *only;
}

/// The original function that this library wraps.
template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

std::string path_of(int descriptor) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : "";
}

std::string path_at(int folder, const char* path) {
  if (path[0] == '/') return path;
  return (folder == AT_FDCWD ? std::string(".") : path_of(folder)) + "/" + path;
}

/// Counts the call; whether it is the one that is to fail, with `errno` set then.
bool fails(const char* call, const std::string& path) {
  State& own = state();
  const std::lock_guard<std::mutex> lock(own.mutex);
  if (!own.armed || !path.starts_with(own.failing.below + "/")) return false;
  if (!own.failing.call.empty() && own.failing.call != call) return false;
  own.calls.push_back(std::string(call) + " " + path);
  if (!own.log.empty()) {  // by system calls, which are not counted
    const std::string line = own.calls.back() + "\n";
    const long file = ::syscall(SYS_open, own.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::syscall(SYS_write, file, line.data(), line.size());
    ::syscall(SYS_close, file);
  }
  if (static_cast<std::int64_t>(own.calls.size()) != own.failing.count) return false;
  errno = own.failing.error;
  return true;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

void arm(const FailingCall& failing) {
  State& own = state();
  const std::lock_guard<std::mutex> lock(own.mutex);
  own.failing = failing;
  own.calls.clear();
  own.armed = true;
}

void disarm() {
  State& own = state();
  const std::lock_guard<std::mutex> lock(own.mutex);
  own.armed = false;
}

std::vector<std::string> counted_calls() {
  State& own = state();
  const std::lock_guard<std::mutex> lock(own.mutex);
  return own.calls;
}

}  // namespace sdsclip::testing

using sdsclip::testing::fails;
using sdsclip::testing::mode_of;
using sdsclip::testing::next;
using sdsclip::testing::path_at;
using sdsclip::testing::path_of;

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (fails("open", path_at(AT_FDCWD, path))) return -1;
  return next<int (*)(const char*, int, ...)>("open")(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (fails("open", path_at(AT_FDCWD, path))) return -1;
  return next<int (*)(const char*, int, ...)>("open64")(path, flags, mode);
}

FILE* fopen(const char* path, const char* mode) {
  if (fails("open", path_at(AT_FDCWD, path))) return nullptr;
  return next<FILE* (*)(const char*, const char*)>("fopen")(path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  if (fails("open", path_at(AT_FDCWD, path))) return nullptr;
  return next<FILE* (*)(const char*, const char*)>("fopen64")(path, mode);
}

ssize_t write(int file, const void* bytes, size_t count) {
  if (fails("write", path_of(file))) return -1;
  return next<ssize_t (*)(int, const void*, size_t)>("write")(file, bytes, count);
}

ssize_t writev(int file, const struct iovec* parts, int count) {
  if (fails("write", path_of(file))) return -1;
  return next<ssize_t (*)(int, const struct iovec*, int)>("writev")(file, parts, count);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  if (fails("write", path_of(file))) return -1;
  return next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite")(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  if (fails("write", path_of(file))) return -1;
  return next<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64")(file, bytes, count, offset);
}

int fsync(int file) {
  if (fails("sync", path_of(file))) return -1;
  return next<int (*)(int)>("fsync")(file);
}

int fdatasync(int file) {
  if (fails("sync", path_of(file))) return -1;
  return next<int (*)(int)>("fdatasync")(file);
}

int rename(const char* from, const char* to) noexcept {
  if (fails("rename", path_at(AT_FDCWD, to))) return -1;
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}

int unlink(const char* path) noexcept {
  if (fails("remove", path_at(AT_FDCWD, path))) return -1;
  return next<int (*)(const char*)>("unlink")(path);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  if (fails("remove", path_at(folder, path))) return -1;
  return next<int (*)(int, const char*, int)>("unlinkat")(folder, path, flags);
}

int rmdir(const char* path) noexcept {
  if (fails("remove", path_at(AT_FDCWD, path))) return -1;
  return next<int (*)(const char*)>("rmdir")(path);
}

int remove(const char* path) noexcept {
  if (fails("remove", path_at(AT_FDCWD, path))) return -1;
  return next<int (*)(const char*)>("remove")(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (fails("mkdir", path_at(AT_FDCWD, path))) return -1;
  return next<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}

int ftruncate(int file, off_t length) noexcept {
  if (fails("truncate", path_of(file))) return -1;
  return next<int (*)(int, off_t)>("ftruncate")(file, length);
}

int ftruncate64(int file, off64_t length) noexcept {
  if (fails("truncate", path_of(file))) return -1;
  return next<int (*)(int, off64_t)>("ftruncate64")(file, length);
}

}  // extern "C"

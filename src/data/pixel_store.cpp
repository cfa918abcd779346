#include "sdsclip/data/pixel_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

fs::path temporary_folder() {
  return folder_from_environment("TMPDIR", "/tmp");
}

Error file_failure(const char* what) {
  return runtime_failure("{}: cannot {} a batch's pixels: {}; set TMPDIR to a folder with enough space",
                         temporary_folder().string(), what, std::strerror(errno));
}

/// Opens a temporary file without a name. It disappears when the descriptor is closed, even in a crash.
FileDescriptor open_nameless_file() {
  std::string path = (temporary_folder() / "sdsclip-XXXXXX").string();
  FileDescriptor descriptor(::mkostemp(path.data(), O_CLOEXEC));
  if (descriptor.get() < 0) throw file_failure("keep");
  ::unlink(path.c_str());
  return descriptor;
}

}  // namespace

PixelStore::PixelStore(std::size_t image_bytes, std::size_t memory_limit)
    : image_bytes_(image_bytes), memory_limit_(memory_limit) {}

void PixelStore::append(std::span<const std::uint8_t> images) {
  const std::size_t room = memory_limit_ - std::min(memory_limit_, memory_.size());
  const std::size_t kept = has_file() ? 0 : std::min(room, images.size());
  memory_.insert(memory_.end(), images.begin(), images.begin() + static_cast<std::ptrdiff_t>(kept));
  if (kept < images.size()) write_to_file(images.subspan(kept));
}

void PixelStore::write_to_file(std::span<const std::uint8_t> bytes) {
  if (!has_file()) file_ = open_nameless_file();
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(file_bytes_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw file_failure("write");
    file_bytes_ += static_cast<std::size_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::int64_t PixelStore::count() const {
  if (image_bytes_ == 0) return 0;
  return static_cast<std::int64_t>((memory_.size() + file_bytes_) / image_bytes_);
}

std::vector<std::uint8_t> PixelStore::read(std::int64_t first, std::int64_t count) const {
  const std::size_t begin = static_cast<std::size_t>(first) * image_bytes_;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * image_bytes_);
  std::size_t done = 0;
  if (begin < memory_.size()) {
    done = std::min(bytes.size(), memory_.size() - begin);
    std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(begin), done, bytes.begin());
  }
  while (done < bytes.size()) {
    const off_t place = static_cast<off_t>(begin + done - memory_.size());
    const ssize_t got = ::pread(file_.get(), bytes.data() + done, bytes.size() - done, place);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw file_failure("read back");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace sdsclip

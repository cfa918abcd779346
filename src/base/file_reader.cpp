#include "sdsclip/base/file_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {

FileReader::FileReader(std::filesystem::path path)
    : path_(std::move(path)), descriptor_(open_regular_file(path_)) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    const int reason = errno;
    ::close(descriptor_);
    throw input_error("{}: cannot read: {}", path_.string(), std::strerror(reason));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

FileReader::~FileReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileReader::FileReader(FileReader&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

FileReader& FileReader::operator=(FileReader&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

std::string FileReader::read(std::uint64_t offset, std::size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    throw input_error("{}: ends at byte {}, expected {} bytes at byte {}; was it changed or cut short?",
                      path_.string(), size_, count, offset);
  }
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data() + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw input_error("{}: cannot read to its end: {}", path_.string(), std::strerror(errno));
    if (got == 0) throw input_error("{}: was cut short while it was read", path_.string());
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace sdsclip

#include "sdsclip/base/file_reader.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sdsclip/base/error.h"

namespace sdsclip {

FileReader::FileReader(fs::path path) : path_(std::move(path)), file_(open_regular_file(path_)) {}

std::string FileReader::read(std::uint64_t offset, std::size_t count) const {
  if (offset > size() || count > size() - offset) {
    throw input_error("{}: ends at byte {}, expected {} bytes at byte {}; was it changed or cut short?",
                      path_.string(), size(), count, offset);
  }
  std::string bytes(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(descriptor(), bytes.data() + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw input_error("{}: cannot read to its end: {}", path_.string(), std::strerror(errno));
    if (got == 0) throw input_error("{}: was cut short while it was read", path_.string());
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace sdsclip

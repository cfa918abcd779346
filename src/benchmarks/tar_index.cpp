#include "tar_index.h"

#include <fstream>

#include "sdsclip/base/error.h"
#include "sdsclip/data/tar_members.h"

namespace sdsclip {

namespace fs = std::filesystem;

std::vector<TarEntry> index_tar(const fs::path& path) {
  std::vector<TarEntry> entries;
  visit_tar(path, [&](const TarMember& member) {
    entries.push_back({.name = member.name, .range = {.offset = member.offset, .size = member.size}});
  });
  return entries;
}

std::string read_range(const fs::path& path, const ByteRange& range) {
  std::ifstream stream(path, std::ios::binary);
  std::string bytes(range.size, '\0');
  stream.seekg(static_cast<std::streamoff>(range.offset));
  stream.read(bytes.data(), static_cast<std::streamsize>(range.size));
  if (!stream) {
    throw input_error("{}: ends before byte {}; the file is cut short", path.string(),
                      range.offset + range.size);
  }
  return bytes;
}

}  // namespace sdsclip

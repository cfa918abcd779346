#include "tar_index.h"

#include "sdsclip/base/file_reader.h"
#include "sdsclip/data/tar_members.h"

namespace sdsclip {

std::vector<TarEntry> index_tar(const fs::path& path) {
  std::vector<TarEntry> entries;
  visit_tar(path, [&](const TarMember& member) {
    entries.push_back({.name = member.name, .range = {.offset = member.offset, .size = member.size}});
  });
  return entries;
}

std::string read_range(const fs::path& path, const ByteRange& range) {
  return FileReader(path).read(range.offset, range.size);
}

}  // namespace sdsclip

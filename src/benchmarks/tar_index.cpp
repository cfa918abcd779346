#include "tar_index.h"

#include <archive.h>
#include <archive_entry.h>

#include <fstream>
#include <memory>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kTarBlock = 512;
constexpr std::size_t kReadSize = 64 * 1024;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

Error damaged(const fs::path& path, archive* reader) {
  const char* const reason = archive_error_string(reader);
  return input_error("{}: cannot be read as an uncompressed tar: {}", path.string(),
                     reason == nullptr ? "unknown reason" : reason);
}

std::uint64_t padded(std::int64_t size) {
  return static_cast<std::uint64_t>((size + kTarBlock - 1) / kTarBlock * kTarBlock);
}

}  // namespace

std::vector<TarEntry> index_tar(const fs::path& path) {
  const std::unique_ptr<archive, CloseArchive> reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), kReadSize) != ARCHIVE_OK) {
    throw damaged(path, reader.get());
  }
  std::vector<TarEntry> entries;
  // An entry's bytes end where the next header begins: the headers in front of it vary in number (long
  // names).
  bool is_file = false;
  std::string name;
  std::int64_t size = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (is_file) {
      const std::uint64_t end = static_cast<std::uint64_t>(archive_read_header_position(reader.get()));
      entries.push_back(
          {.name = name, .range = {.offset = end - padded(size), .size = static_cast<std::uint64_t>(size)}});
    }
    if (status == ARCHIVE_EOF) return entries;
    if (status != ARCHIVE_OK) throw damaged(path, reader.get());
    is_file = archive_entry_filetype(entry) == AE_IFREG;
    const char* const entry_name = archive_entry_pathname(entry);
    if (entry_name == nullptr) throw input_error("{}: a file's name is not text", path.string());
    name = entry_name;
    size = archive_entry_size(entry);
  }
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

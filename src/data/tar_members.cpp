#include "sdsclip/data/tar_members.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <optional>

#include "file_reader.h"
#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

constexpr std::uint64_t kBlock = 512;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

Error damaged(const std::filesystem::path& path, archive* reader) {
  const char* reason = archive_error_string(reader);
  return input_error("{}: cannot be read as an uncompressed tar: {}; unpack or fetch it again", path.string(),
                     reason == nullptr ? "unknown reason" : reason);
}

}  // namespace

void visit_tar(const std::filesystem::path& path, const std::function<void(const TarMember&)>& visit) {
  const std::uint64_t tar_size = FileReader(path).size();
  const std::unique_ptr<archive, CloseArchive> reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), 64 * kBlock) != ARCHIVE_OK) {
    throw damaged(path, reader.get());
  }
  // libarchive tells where headers start, and of those there may be several before a file (long names); but a
  // file ends, padded to whole blocks, where the next header starts.
  std::optional<TarMember> pending;
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    const std::uint64_t header = static_cast<std::uint64_t>(archive_read_header_position(reader.get()));
    if (pending) {
      pending->offset = header - (pending->size + kBlock - 1) / kBlock * kBlock;
      if (pending->offset + pending->size > tar_size) {
        throw input_error("{}: ends inside '{}'; it is cut short, fetch it again", path.string(),
                          pending->name);
      }
      visit(*pending);
      pending.reset();
    }
    if (status == ARCHIVE_EOF) return;
    if (status != ARCHIVE_OK) throw damaged(path, reader.get());
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) throw input_error("{}: holds a file whose name is not text", path.string());
    pending = TarMember{name, 0, static_cast<std::uint64_t>(archive_entry_size(entry))};
  }
}

}  // namespace sdsclip

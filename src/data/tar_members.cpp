#include "sdsclip/data/tar_members.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>

#include "sdsclip/base/error.h"
#include "sdsclip/base/file_kind.h"
#include "sdsclip/base/file_reader.h"

namespace sdsclip {
namespace {

constexpr std::uint64_t kBlock = 512;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

Error damaged(const fs::path& path, archive* reader) {
  const char* reason = archive_error_string(reader);
  return input_error("{}: cannot be read as an uncompressed tar: {}; unpack or fetch it again", path.string(),
                     reason == nullptr ? "unknown reason" : std::string(reason));
}

void refuse_compressed(const FileReader& file) {
  const std::string start = file.read(0, std::min<std::uint64_t>(file.size(), kFileKindBytes));
  const std::optional<FileKind> kind = foreign_kind(start);
  const bool is_tar = start.size() > 257 && std::string_view(start).substr(257).starts_with("ustar");
  if (!kind || is_tar || kind->name == "binary data") return;  // tars from before 1988 have no mark
  throw input_error("{}: looks like {}, expected an uncompressed tar; {}", file.path().string(), kind->name,
                    kind->advice);
}

/// The place of the bytes of the entry whose header was just read.
TarMember member_of(const FileReader& file, archive* reader, archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr) name = archive_entry_pathname_utf8(entry);  // this locale lacks the letters
  if (name == nullptr) throw input_error("{}: holds a file whose name is not text", file.path().string());
  const TarMember member{name, static_cast<std::uint64_t>(archive_filter_bytes(reader, 0)),
                         static_cast<std::uint64_t>(archive_entry_size(entry))};
  if (archive_entry_sparse_reset(entry) > 0) {
    throw input_error(
        "{}: '{}' is stored as a sparse file of {} bytes; pack the shard again without --sparse",
        file.path().string(), name, member.size);
  }
  if (member.offset > file.size() || member.size > file.size() - member.offset) {
    throw input_error("{}: ends inside '{}', which claims {} bytes; it is cut short, fetch it again",
                      file.path().string(), name, member.size);
  }
  return member;
}

}  // namespace

void visit_tar(const fs::path& path, const std::function<void(const TarMember&)>& visit) {
  const FileReader file(path);
  refuse_compressed(file);
  const std::unique_ptr<archive, CloseArchive> reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_fd(reader.get(), file.descriptor(), 64 * kBlock) != ARCHIVE_OK) {
    throw damaged(path, reader.get());
  }
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) return;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) throw damaged(path, reader.get());
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    // A hard link has no bytes, whatever size its header states.
    if (archive_entry_hardlink(entry) != nullptr) continue;
    visit(member_of(file, reader.get(), entry));
  }
}

}  // namespace sdsclip

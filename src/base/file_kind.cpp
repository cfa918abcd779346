#include "sdsclip/base/file_kind.h"

#include <algorithm>
#include <array>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view name;
  std::string_view advice;
};

constexpr std::string_view kGunzip = "unpack it first, with gunzip or tar -xzf";
constexpr std::string_view kUnpack = "unpack it first";
constexpr std::string_view kUtf8 = "save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8";
constexpr std::string_view kNoText = "give the file of captions itself";

constexpr std::array<Signature, 24> kSignatures = {{
    {0, "PAR1"sv, "a Parquet file", "convert it with scripts/parquet_to_webdataset.py"},
    {0, "\x1f\x8b"sv, "a gzip-compressed file", kGunzip},
    {0, "\x28\xb5\x2f\xfd"sv, "a zstd-compressed file", "unpack it first, with unzstd"},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     "an xz-compressed file", "unpack it first, with unxz"},
    {0, "BZh"sv, "a bzip2-compressed file", "unpack it first, with bunzip2"},
    {0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive", kUnpack},
    {0, "Rar!\x1a"sv, "a RAR archive", kUnpack},
    {0, "PK\x03\x04"sv, "a ZIP archive or a spreadsheet", "unpack it, or save the spreadsheet as CSV"},
    {257, "ustar"sv, "a tar archive",
     "read shards of images and texts with data.format=webdataset, or unpack it"},
    {0, "ARROW1"sv, "an Arrow file",
     "save it as Parquet and convert it with scripts/parquet_to_webdataset.py"},
    {0, "\xff\xff\xff\xff"sv, "an Arrow stream",
     "save it as Parquet and convert it with scripts/parquet_to_webdataset.py"},
    {0, "\xff\xfe"sv, "text in UTF-16", kUtf8},
    {0, "\xfe\xff"sv, "text in UTF-16", kUtf8},
    {0, "\x89HDF"sv, "an HDF5 file", kNoText},
    {0, "\x93NUMPY"sv, "a NumPy file", kNoText},
    {0, "\x80\x02"sv, "a Python pickle", kNoText},
    {0, "\x80\x03"sv, "a Python pickle", kNoText},
    {0, "\x80\x04"sv, "a Python pickle", kNoText},
    {0, "\x80\x05"sv, "a Python pickle", kNoText},
    {0, "SQLite format 3"sv, "an SQLite database", kNoText},
    {0, "\xff\xd8\xff"sv, "a JPEG image", kNoText},
    {0, "\x89PNG"sv, "a PNG image", kNoText},
    {0, "%PDF-"sv, "a PDF document", kNoText},
    {0, "version https://git-lfs"sv, "a Git LFS pointer", "fetch the file itself with git lfs pull"},
}};

bool starts_like_a_web_page(std::string_view bytes) {
  const std::string start = lower_case(bytes.substr(0, 256));
  const std::size_t first = start.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return false;
  const std::string_view page = std::string_view(start).substr(first);
  return page.starts_with("<!doctype html") || page.starts_with("<html");
}

/// Detects UTF-16 text without a byte order mark: every other byte of its Latin letters is zero.
bool is_half_zeros(std::string_view bytes) {
  const std::size_t pairs = bytes.size() / 2;
  if (pairs < 8) return false;
  std::array<std::size_t, 2> zeros = {0, 0};
  for (std::size_t i = 0; i < 2 * pairs; ++i) zeros[i % 2] += bytes[i] == '\0' ? 1 : 0;
  const auto [few, many] = std::minmax(zeros[0], zeros[1]);
  return many * 10 >= pairs * 9 && few * 10 <= pairs;
}

}  // namespace

std::optional<FileKind> foreign_kind(std::string_view first_bytes) {
  const std::string_view bytes = first_bytes.substr(0, kFileKindBytes);
  for (const Signature& signature : kSignatures) {
    if (bytes.size() < signature.offset) continue;
    if (bytes.substr(signature.offset).starts_with(signature.bytes)) {
      return FileKind{std::string(signature.name), std::string(signature.advice)};
    }
  }
  if (starts_like_a_web_page(bytes)) {
    return FileKind{"a web page", "the download failed or needs a login; fetch the file again"};
  }
  if (is_half_zeros(bytes)) return FileKind{"text in UTF-16", std::string(kUtf8)};
  if (bytes.find('\0') != std::string_view::npos) return FileKind{"binary data", std::string(kNoText)};
  return std::nullopt;
}

void refuse_foreign_kind(const fs::path& path, std::string_view first_bytes, std::string_view expected) {
  if (const std::optional<FileKind> kind = foreign_kind(first_bytes)) {
    throw input_error("{}: looks like {}, expected {}; {}", path.string(), kind->name, expected,
                      kind->advice);
  }
}

}  // namespace sdsclip

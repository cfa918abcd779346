#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sdsclip {

/// How many of a file's first bytes `foreign_kind` looks at.
inline constexpr std::size_t kFileKindBytes = 4096;

/// A kind of file that a reader of text (a table, JSON, JSON Lines) cannot use.
struct FileKind {
  std::string name;    ///< "a Parquet file"
  std::string advice;  ///< "convert it with scripts/parquet_to_webdataset.py"
};

/// What the first bytes of a file say it is, where it is not UTF-8 text: an archive, a compressed file, a
/// columnar table, text in UTF-16, a web page or a Git LFS pointer in the place of a download, other binary
/// data. Nothing for text.
std::optional<FileKind> foreign_kind(std::string_view first_bytes);

/// Throws `Error(kInput)` that says what the file looks like and what to do, where `foreign_kind` finds
/// something; `expected` ("a table") names what the reader wants.
void refuse_foreign_kind(const std::filesystem::path& path, std::string_view first_bytes,
                         std::string_view expected);

}  // namespace sdsclip

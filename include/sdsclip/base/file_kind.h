#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// The number of a file's first bytes that `foreign_kind` needs.
inline constexpr std::size_t kFileKindBytes = 4096;

/// A kind of file that a reader of text (a table, JSON, JSON Lines) cannot use.
struct FileKind {
  std::string name;    ///< "a Parquet file"
  std::string advice;  ///< "convert it with scripts/parquet_to_webdataset.py"
};

/// Recognizes a file that is not UTF-8 text by its first bytes: an archive, a compressed file, a columnar
/// table, UTF-16 text, a web page, a Git LFS pointer, or other binary data. Returns nothing for text.
std::optional<FileKind> foreign_kind(std::string_view first_bytes);

/// Throws `Error(kInput)` if `foreign_kind` recognizes the file. The error names the kind of file and says
/// what to do; `expected` ("a table") is what the reader wants.
void refuse_foreign_kind(const fs::path& path, std::string_view first_bytes, std::string_view expected);

}  // namespace sdsclip

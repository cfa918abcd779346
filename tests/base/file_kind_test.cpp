#include "sdsclip/base/file_kind.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using namespace std::string_literals;

TEST(FileKind, RecognizesOtherFilesByTheirFirstBytes) {
  const auto name = [](const std::string& bytes) {
    const std::optional<FileKind> kind = foreign_kind(bytes);
    return kind ? kind->name : "text";
  };
  EXPECT_EQ(name("PAR1\x15\x04"s), "a Parquet file");
  EXPECT_EQ(name("\x1f\x8b\x08\0"s), "a gzip-compressed file");
  EXPECT_EQ(name("PK\x03\x04"s), "a ZIP archive or a spreadsheet");
  EXPECT_EQ(name("a.jpg"s + std::string(252, '\0') + "ustar  "), "a tar archive");
  EXPECT_EQ(name("\xff\xfe"
                 "f\0i\0"s),
            "text in UTF-16");
  EXPECT_EQ(name("f\0i\0l\0e\0p\0a\0t\0h\0"s), "text in UTF-16");
  EXPECT_EQ(name("\0f\0i\0l\0e\0p\0a\0t\0h"s), "text in UTF-16");
  EXPECT_EQ(name("\n <!DOCTYPE html>"), "a web page");
  EXPECT_EQ(name("version https://git-lfs.github.com/spec/v1\noid"), "a Git LFS pointer");
  EXPECT_EQ(name("abc\0\1\2"s), "binary data");
  EXPECT_EQ(name(""), "text");
  EXPECT_EQ(name("filepath\ttitle\n\xc3\xa9"), "text");
}

TEST(FileKind, RefusesWithTheKindAndWhatToDo) {
  testing::expect_error(
      ExitCode::kInput,
      {"a.csv", "looks like a Parquet file", "expected a table", "parquet_to_webdataset.py"},
      [] { refuse_foreign_kind("a.csv", "PAR1", "a table"); });
  EXPECT_NO_THROW(refuse_foreign_kind("a.csv", "filepath,title", "a table"));
}

}  // namespace
}  // namespace sdsclip

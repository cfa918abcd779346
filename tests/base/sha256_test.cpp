#include "sdsclip/base/sha256.h"

#include <gtest/gtest.h>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

// FIPS 180-2, appendix B.1.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, GivesThePublishedDigest) {
  EXPECT_EQ(sha256("abc"), kAbc);
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "abc", "abc");
  EXPECT_EQ(sha256_of_file(folder / "abc"), kAbc);
}

TEST(Sha256, OfAMissingFileNamesIt) {
  testing::expect_error(ExitCode::kInput, {"/nowhere/abc"}, [] { sha256_of_file("/nowhere/abc"); });
}

}  // namespace
}  // namespace sdsclip

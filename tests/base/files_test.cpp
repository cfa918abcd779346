#include "sdsclip/base/files.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

std::size_t entry_count(const fs::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const fs::directory_entry& entry : fs::directory_iterator(folder)) ++count;
  return count;
}

TEST(WriteFileAtomically, ReplacesTheFileAndLeavesNothingElse) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "a", "first");
  write_file_atomically(folder / "a", std::string("two\0parts", 9));
  EXPECT_EQ(read_file(folder / "a"), std::string("two\0parts", 9));
  EXPECT_EQ(entry_count(folder.path()), 1U);
}

TEST(WriteFileAtomically, RemovesWhatKilledWritersOfTheSameNameLeft) {
  const testing::TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const std::string dead = std::to_string(child);
  const std::string alive = std::to_string(::getppid());
  for (const std::string& name : {"a.tmp-" + dead, "a.tmp-" + dead + "-journal", "b.tmp-" + dead,
                                  "a.tmp-" + alive, "a.tmp-" + dead + "x"}) {
    std::ofstream(folder / name) << "half";
  }
  fs::create_directory(folder / ("step-1.tmp-" + dead));
  write_file_atomically(folder / "a", "whole");
  AtomicFolder(folder / "step-1").commit();
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path())) {
    names.insert(entry.path().filename().string());
  }
  const std::set<std::string> expected = {"a", "b.tmp-" + dead, "a.tmp-" + alive, "a.tmp-" + dead + "x",
                                          "step-1"};
  EXPECT_EQ(names, expected);
}

TEST(WriteFileAtomically, OnAFullDiskIsARuntimeFailure) {
  // /dev/full answers every write with "no space left". No temporary file can be created beside it, so this
  // links to it.
  const testing::TemporaryFolder folder;
  fs::create_symlink("/dev/full", folder.path() / ("a.tmp-" + std::to_string(::getpid())));
  testing::expect_error(ExitCode::kRuntime, {"cannot write", "No space left"},
                        [&] { write_file_atomically(folder / "a", "x"); });
  EXPECT_FALSE(fs::exists(folder / "a"));
}

TEST(WriteFileAtomically, IntoAMissingFolderIsBadInput) {
  testing::expect_error(ExitCode::kInput, {"/nowhere/a"}, [] { write_file_atomically("/nowhere/a", "x"); });
}

TEST(ReadFile, OfAFolderOrAMissingFileIsBadInput) {
  const testing::TemporaryFolder folder;
  testing::expect_error(ExitCode::kInput, {"is a folder"}, [&] { read_file(folder.path()); });
  testing::expect_error(ExitCode::kInput, {"missing", "No such file"},
                        [&] { read_file(folder / "missing"); });
}

TEST(ReadFile, OfAPipeOrADeviceIsRefusedWithoutWaiting) {
  const testing::TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  testing::expect_error(ExitCode::kInput, {"pipe", "is a pipe, expected a regular file"},
                        [&] { read_file(folder / "pipe"); });
  fs::create_symlink("/dev/zero", folder / "zero");
  testing::expect_error(ExitCode::kInput, {"zero", "is a device"}, [&] { read_file(folder / "zero"); });
}

TEST(ReadFile, ReadsNoMoreThanItMay) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a", 5), "12345");
  testing::expect_error(ExitCode::kInput, {"more than 4 bytes"}, [&] { read_file(folder / "a", 4); });
}

TEST(ReadFile, ReadsAFileThatDoesNotKnowItsSize) {
  EXPECT_NE(read_file("/proc/self/status").find("VmHWM"), std::string::npos);
  testing::expect_error(ExitCode::kInput, {"more than 4 bytes"}, [] { read_file("/proc/self/status", 4); });
}

TEST(AtomicFolder, AppearsOnCommitAndReplacesWhatWasThere) {
  const testing::TemporaryFolder folder;
  for (const std::string content : {"old", "new"}) {
    AtomicFolder made(folder / "step-1");
    std::ofstream(made.path() / "state") << content;
    made.commit();
  }
  EXPECT_EQ(read_file(folder / "step-1" / "state"), "new");
  EXPECT_EQ(entry_count(folder.path()), 1U);
}

TEST(AtomicFolder, WithoutCommitLeavesNothing) {
  const testing::TemporaryFolder folder;
  {
    const AtomicFolder made(folder / "step-1");
    std::ofstream(made.path() / "state") << "half";
  }
  EXPECT_EQ(entry_count(folder.path()), 0U);
}

}  // namespace
}  // namespace sdsclip

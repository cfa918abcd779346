#include "sdsclip/base/folder_lock.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <optional>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryFolder;

/// A child process that runs `work`, says so, and waits until it is killed.
class Child {
 public:
  explicit Child(const std::function<void()>& work) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    process_ = ::fork();
    if (process_ == 0) {
      work();
      [[maybe_unused]] const ssize_t told = ::write(ends[1], "x", 1);
      while (true) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    for (const int end : ends) ::close(end);
  }
  ~Child() { kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    process_ = -1;
  }
  [[nodiscard]] pid_t process() const { return process_; }

 private:
  pid_t process_ = -1;
};

TEST(FolderLock, RefusesASecondProcessAndNamesTheFirst) {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  std::optional<FolderLock> held;
  const Child holder([&] { held.emplace(run); });
  expect_error(ExitCode::kUsage,
               {run.string() + ": is being written by process " + std::to_string(holder.process()), " on ",
                " since 2", "base_test", "another --out"},
               [&] { const FolderLock second(run); });
}

TEST(FolderLock, EndsWithAKilledProcess) {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  std::optional<FolderLock> held;
  Child holder([&] { held.emplace(run); });
  holder.kill();
  EXPECT_TRUE(fs::exists(run / ".lock"));
  const FolderLock next(run);
}

TEST(FolderLock, LeavesNothingBehind) {
  const TemporaryFolder folder;
  { const FolderLock lock(folder / "empty"); }
  EXPECT_FALSE(fs::exists(folder / "empty"));
  {
    const FolderLock lock(folder / "used");
    write_file_atomically(folder / "used" / "result.json", "{}");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "used"), fs::directory_iterator()), 1);
  { const FolderLock again(folder / "used"); }
}

TEST(FolderLock, OfTheSameProcessIsHeldToo) {
  const TemporaryFolder folder;
  const FolderLock lock(folder.path());
  expect_error(ExitCode::kUsage, {"process " + std::to_string(::getpid())},
               [&] { const FolderLock second(folder.path()); });
}

// With the locks of plain fcntl a child that closes its copy of the file would end its parent's lock.
TEST(FolderLock, StaysWithTheParentOfAForkedProcess) {
  const TemporaryFolder folder;
  std::optional<FolderLock> lock(std::in_place, folder.path());
  const pid_t child = ::fork();
  if (child == 0) {
    lock.reset();
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(fs::exists(folder / ".lock"));
  expect_error(ExitCode::kUsage, {"is being written"}, [&] { const FolderLock second(folder.path()); });
}

TEST(FolderLock, IsFreeAgainAlthoughAForkedProcessStillRuns) {
  const TemporaryFolder folder;
  std::optional<FolderLock> lock(std::in_place, folder.path());
  const Child child([] {});
  lock.reset();
  const FolderLock next(folder.path());
}

TEST(FolderLock, NamesTheHolderInPrintableCharactersOnly) {
  const TemporaryFolder folder;
  const FolderLock lock(folder.path());
  std::ofstream(folder / ".lock") << "process 1 \x1b[31m\n\xff of the file";
  expect_error(ExitCode::kUsage, {"process 1  [31m   of the file;"},
               [&] { const FolderLock second(folder.path()); });
}

TEST(FolderLock, InAnImpossibleFolderIsBadInput) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "");
  expect_error(ExitCode::kInput, {"file: is a file, expected a folder"},
               [&] { const FolderLock lock(folder / "file"); });
  fs::create_directories(folder / "run" / ".lock");
  expect_error(ExitCode::kInput, {".lock: is no regular file", "delete it"},
               [&] { const FolderLock lock(folder / "run"); });
}

}  // namespace
}  // namespace sdsclip

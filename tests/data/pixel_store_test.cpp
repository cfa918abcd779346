#include "sdsclip/data/pixel_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kImageBytes = 12;

/// Images 0, 1, ... of bytes that are all different.
Bytes images(std::size_t count) {
  Bytes bytes(count * kImageBytes);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

/// Sets an environment variable during its lifetime.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const std::string& value) : name_(name) {
    const char* old = std::getenv(name);
    if (old != nullptr) old_ = old;
    had_old_ = old != nullptr;
    ::setenv(name, value.c_str(), 1);
  }
  ~EnvironmentVariable() {
    if (had_old_) {
      ::setenv(name_, old_.c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool had_old_ = false;
};

/// Any limit: all in memory, an image cut in two by it, all in the file.
class PixelStoreTest : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Limits, PixelStoreTest, ::testing::Values(1000, 30, 24, 0));

TEST_P(PixelStoreTest, ReadsBackAnyRowsOfWhatWasAppended) {
  PixelStore store(kImageBytes, GetParam());
  const Bytes all = images(7);
  store.append(std::span(all).first(kImageBytes));
  store.append(std::span(all).subspan(kImageBytes, 4 * kImageBytes));
  store.append(std::span(all).subspan(5 * kImageBytes));
  ASSERT_EQ(store.count(), 7);
  for (std::int64_t first = 0; first < 7; ++first) {
    for (std::int64_t count = 0; first + count <= 7; ++count) {
      const auto begin = all.begin() + first * static_cast<std::int64_t>(kImageBytes);
      EXPECT_EQ(store.read(first, count),
                Bytes(begin, begin + count * static_cast<std::int64_t>(kImageBytes)));
    }
  }
}

TEST_P(PixelStoreTest, KeepsItsImagesWhenMoved) {
  PixelStore store(kImageBytes, GetParam());
  store.append(images(4));
  PixelStore moved(std::move(store));
  PixelStore assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned.count(), 4);
  EXPECT_EQ(assigned.read(0, 4), images(4));
}

TEST(PixelStore, IsEmptyAtFirst) {
  EXPECT_EQ(PixelStore().count(), 0);
  EXPECT_EQ(PixelStore(kImageBytes).count(), 0);
}

TEST(PixelStore, LeavesNoFileInTheTemporaryFolder) {
  const testing::TemporaryFolder folder;
  const EnvironmentVariable variable("TMPDIR", folder.path().string());
  PixelStore store(kImageBytes, 0);
  store.append(images(2));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(PixelStore, NamesTheTemporaryFolderThatCannotBeWritten) {
  const EnvironmentVariable variable("TMPDIR", "/proc");
  PixelStore store(kImageBytes, 0);
  testing::expect_error(ExitCode::kRuntime, {"/proc", "TMPDIR"}, [&] { store.append(images(1)); });
}

}  // namespace
}  // namespace sdsclip

#include "sdsclip/models/out_of_memory.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <new>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kTooMany = std::int64_t{1} << 46;

TEST(InMemory, TellsMemoryThatRanOutFromOtherFailures) {
  const auto expect_told = [](auto action) {
    testing::expect_error(ExitCode::kRuntime, {"too little; use a smaller batch"},
                          [&] { in_memory("too little; use a smaller batch", action); });
  };
#if !defined(__SANITIZE_ADDRESS__)  // whose allocator is another
  expect_told([] { return at::empty({kTooMany}); });
#endif
  expect_told([]() -> int { C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory"); });
  expect_told([]() -> int { throw std::bad_alloc(); });
  // As TorchScript's interpreter passes it on.
  expect_told([]() -> int { throw std::runtime_error("The following operation failed\nstd::bad_alloc"); });
  EXPECT_EQ(in_memory("", [] { return 5; }), 5);
  EXPECT_THROW(in_memory("", []() -> int { throw std::runtime_error("other"); }), std::runtime_error);
  // What has a message for the user already keeps it.
  testing::expect_error(ExitCode::kInput, {"not an image, out of memory.png"}, [] {
    in_memory("", []() -> int { throw input_error("{}", "not an image, out of memory.png"); });
  });
}

}  // namespace
}  // namespace sdsclip

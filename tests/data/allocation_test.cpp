// Every allocation in the decoders fails once. The decoder must report that memory ran out (exit code 4) or
// still return the image. It must never call a sound image damaged, and never crash. The program has its own
// malloc for this.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/data/image.h"
#include "sdsclip/data/preprocess.h"

extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* memory, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
}

namespace {

/// How many allocations until one fails; below 0: none does.
std::atomic<long> countdown = -1;

bool fails() {
  if (countdown.load() < 0 || countdown.fetch_sub(1) != 0) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace

extern "C" {
void* malloc(std::size_t bytes) {
  return fails() ? nullptr : __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  return fails() ? nullptr : __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  return fails() ? nullptr : __libc_realloc(memory, bytes);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  if (fails()) return ENOMEM;
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}
}

namespace sdsclip {
namespace {

class Allocations : public ::testing::TestWithParam<const char*> {};

TEST_P(Allocations, FailOneByOneWithoutHarm) {
  const std::string name = GetParam();
  const std::string bytes = read_file(std::string(SDSCLIP_IMAGES) + "/" + name);
  PreprocessOptions options;
  options.size = 8;
  options.convert = ConvertOrder::kAfterResize;
  std::vector<std::uint8_t> expected(options.element_count());
  resize_and_crop(decode_for(options, bytes, name), options, expected);
  bool reached = true;
  int refused = 0;
  for (long allocation = 0; reached; ++allocation) {
    ASSERT_LT(allocation, 100'000);
    std::vector<std::uint8_t> pixels(options.element_count());
    int code = 0;
    countdown = allocation;
    try {
      resize_and_crop(decode_for(options, bytes, name), options, pixels);
    } catch (const std::bad_alloc&) {
      code = 4;
    } catch (const Error& error) {
      code = static_cast<int>(error.exit_code());
    }
    reached = countdown.exchange(-1) < 0;
    refused += code == 4 ? 1 : 0;
    ASSERT_TRUE(code == 0 || code == 4)
        << "allocation " << allocation << " of " << name << ": exit code " << code;
    if (code == 0) {
      ASSERT_EQ(pixels, expected) << "allocation " << allocation;
    }
  }
  EXPECT_GT(refused, 0);
}

// Lossless WebP and TIFF are missing, because libwebp 1.2.4 and libtiff 4.5 themselves crash if they get no
// memory for a table. The decoders check for enough memory first (`require_memory`).
INSTANTIATE_TEST_SUITE_P(Formats, Allocations,
                         ::testing::Values("baseline.jpg", "progressive.jpg", "cmyk.jpg", "rgba.png",
                                           "palette.png", "interlaced.png", "wide-grey.png", "lossy.webp",
                                           "animated.webp", "rgb.bmp", "rgb.ppm"));

}  // namespace
}  // namespace sdsclip

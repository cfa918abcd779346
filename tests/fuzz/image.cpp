#include "sdsclip/data/image.h"

#include "../data/encoded_images.h"
#include "fuzz.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {testing::from_hex(testing::kJpeg), testing::from_hex(testing::kCmykJpeg),
          testing::from_hex(testing::kPng)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view bytes) { decode_image(bytes, "image"); });
}

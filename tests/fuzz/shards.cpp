#include "fuzz.h"
#include "sdsclip/data/captions.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {"cc3m/{00000..00331}.tar", "a{08..10}.tar::b.tar", "{a,b{1..3}}/{x,y}.tar"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view text) { expand_shards(std::string(text)); });
}

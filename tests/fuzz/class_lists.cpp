// A zero-shot data set's lists of classes and templates. The input's first byte says which one.
#include <array>

#include "fuzz.h"
#include "sdsclip/benchmarks/benchmark.h"

using namespace sdsclip;

namespace {

constexpr std::array<const char*, 3> kFiles = {"classnames.txt", "templates.txt", "folders.txt"};
constexpr std::array<const char*, 3> kSeeds = {"cat\ndog\n", "a photo of a {}.\nart of the {c}.\n",
                                               "n01\nn02\n"};

}  // namespace

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds;
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    seeds.push_back(std::string(1, static_cast<char>(i)) + kSeeds[i]);
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t kind = data[0] % kFiles.size();
  for (std::size_t i = 0; i < kFiles.size(); ++i) fuzz::put(kFiles[i], kSeeds[i]);
  for (const char* image : {"n01/a.jpg", "n02/b.jpg"}) fuzz::put(image, "image");
  return fuzz::read(data + 1, size - 1, [&](std::string_view bytes) {
    fuzz::put(kFiles[kind], bytes);
    LoadOptions options;
    options.data = fuzz::folder();
    find_benchmark("zeroshot").load(options);
  });
}

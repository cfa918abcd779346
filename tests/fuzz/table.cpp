#include "captions.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {"filepath\ttitle\na.jpg\ta cat\nb.jpg\ta \"dog\"\n",
          "filepath,title,neg_caption\na.jpg,\"a, \"\"big\"\" cat\",\"['a dog', \"\"it's\"\"]\"\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const char* name : {"table.tsv", "table.csv"}) {
    fuzz::read(data, size, [&](std::string_view bytes) {
      fuzz::read_captions(CaptionFormat::kTsv, fuzz::put(name, bytes).string());
    });
  }
  return 0;
}

// Every caption data set that is JSON.
#include "captions.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {
      R"({"info": {}, "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
             "annotations": [{"id": 7, "image_id": 2, "caption": "a \u00e9"}, {"image_id": 1, "caption": "b"}]})",
      R"({"images": [{"split": "train", "filename": "a.jpg", "sentences": [{"raw": "x"}, {"raw": "y"}]}]})",
      R"([{"image": "a.jpg", "caption": "x"}, {"image": "b.jpg", "caption": ["y", "z"]}])",
      "{\"image\": \"a.jpg\", \"caption\": \"x\"}\n{\"image\": \"b.jpg\", \"caption\": \"y\"}\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const CaptionFormat format :
       {CaptionFormat::kCoco, CaptionFormat::kKarpathy, CaptionFormat::kJson, CaptionFormat::kJsonLines}) {
    fuzz::read(data, size, [&](std::string_view bytes) {
      fuzz::read_captions(format, fuzz::put("captions.json", bytes).string());
    });
  }
  return 0;
}

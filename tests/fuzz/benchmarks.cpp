// The annotations of every benchmark that reads JSON or a table. The input's first byte says whose they are.
#include <array>

#include "fuzz.h"
#include "sdsclip/benchmarks/benchmark.h"

using namespace sdsclip;

namespace {

struct Layout {
  const char* benchmark;
  const char* file;
  const char* seed;
};

constexpr std::array<Layout, 8> kLayouts = {{
    {"winoground", "examples.jsonl",
     R"({"id": 0, "image_0": "a", "image_1": "b", "caption_0": "x y", "caption_1": "y x", "tag": "Noun", "num_main_preds": 1, "collapsed_tag": "Object"})"},
    {"aro", "visual_genome_relation.json",
     R"([{"image_path": "a.jpg", "bbox_x": 1, "bbox_y": 2, "bbox_w": 3, "bbox_h": 4, "true_caption": "x on y", "false_caption": "y on x", "relation_name": "on"}])"},
    {"aro", "coco_order.json", R"([{"image": "a.jpg", "caption_options": ["a", "b", "c", "d", "e"]}])"},
    {"clevr", "captions/spatial.json", R"({"a.png": [["x left of y", "y left of x"]]})"},
    {"sugarcrepe", "add_obj.json",
     R"({"0": {"filename": "a.jpg", "caption": "x", "negative_caption": "x y"}})"},
    {"retrieval", "dataset_flickr30k.json",
     R"({"images": [{"split": "test", "filename": "a.jpg", "sentences": [{"raw": "x"}, {"raw": "y"}]}]})"},
    {"retrieval", "annotations/captions_val2017.json",
     R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "x"}]})"},
    {"mmvp", "Questions.csv",
     "Question ID,Type,Statement\n1,Color,a red cat\n2,Color,\"a \"\"blue\"\", cat\"\n"},
}};

}  // namespace

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds;
  for (std::size_t i = 0; i < kLayouts.size(); ++i) {
    seeds.push_back(std::string(1, static_cast<char>(i)) + kLayouts[i].seed);
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Layout& layout = kLayouts[data[0] % kLayouts.size()];
  return fuzz::read(data + 1, size - 1, [&](std::string_view bytes) {
    const std::filesystem::path root = fuzz::folder() / std::to_string(data[0] % kLayouts.size());
    fuzz::put(root / layout.file, bytes);
    LoadOptions options;
    options.data = root;
    options.skip_missing = true;
    find_benchmark(layout.benchmark).load(options);
  });
}

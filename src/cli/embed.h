#pragma once

#include "sdsclip/base/work_ahead.h"
#include "sdsclip/data/preprocess.h"
#include "shared_options.h"

namespace sdsclip {

struct EmbedCommand : CommandOptions {
  static constexpr const char* kName = "embed";
  static constexpr const char* kSummary = "Writes embeddings of images and texts.";
  std::string clip = "shapes-clip";
  std::string tuned;
  ConvertOrder convert = ConvertOrder::kFirst;
  std::string images;
  std::string text;
  std::string out;
  std::int64_t workers = 0;
  ComputeOptions compute;
};

inline void visit_options(CommandLine& line, EmbedCommand& command) {
  line.option("clip", command.clip, kBundleText);
  line.option("tuned", command.tuned, kTunedText);
  line.choice("convert", command.convert, kConvertNames, kConvertText);
  line.option("images", command.images, "File with the path of one image per line; empty: no images.");
  line.option("text", command.text, "File with one text per line; empty: no texts.");
  line.required("out", command.out,
                "safetensors file to create, with image_embeds and text_embeds, not normalised.");
  line.count("workers", command.workers, {0, kMostThreads}, kWorkersText);
  visit_compute(line, command.compute);
}

void run(const EmbedCommand& command);

}  // namespace sdsclip

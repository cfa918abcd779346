#pragma once

#include "sdsclip/data/preprocess.h"
#include "shared_options.h"

namespace sdsclip {

struct PreprocessCommand : CommandOptions {
  static constexpr const char* kName = "preprocess";
  static constexpr const char* kSummary = "Writes images as the model sees them.";
  std::string bundle;
  std::vector<std::string> images;
  std::string out;
  ConvertOrder convert = ConvertOrder::kFirst;
};

inline void visit_options(CommandLine& line, PreprocessCommand& command) {
  line.required("bundle", command.bundle, kBundleText);
  line.positional("image", command.images, "Image files.");
  line.choice("convert", command.convert, kConvertNames, kConvertText);
  line.required("out", command.out, "safetensors file to create, with pixel_values f32[N, 3, H, W].");
}

void run(const PreprocessCommand& command);

}  // namespace sdsclip

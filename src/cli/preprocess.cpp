#include "sdsclip/data/preprocess.h"

#include "commands.h"
#include "paths.h"
#include "sdsclip/base/log.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {

void run_preprocess(const Arguments& arguments) {
  const PreprocessArguments& given = arguments.preprocess;
  const PreprocessOptions options = preprocess_options(read_bundle(bundle_path(given.bundle)).image);
  std::vector<std::uint8_t> pixels(given.images.size() * options.element_count());
  for (std::size_t i = 0; i < given.images.size(); ++i) {
    const std::span<std::uint8_t> own(pixels.data() + i * options.element_count(), options.element_count());
    resize_and_crop(read_image(given.images[i]), options, own);
  }
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"pixel_values", pixel_tensor(pixels, options)}};
  write_safetensors(given.out, tensors);
  log_info("{}: {} images", given.out, given.images.size());
}

}  // namespace sdsclip

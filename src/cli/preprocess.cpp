#include "sdsclip/data/preprocess.h"

#include "commands.h"
#include "paths.h"
#include "sdsclip/base/log.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {

void run_preprocess(const Arguments& arguments) {
  const PreprocessArguments& given = arguments.preprocess;
  const PreprocessOptions options =
      preprocess_options(read_bundle(bundle_path(given.bundle)).image, convert_order_of(given.convert));
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"pixel_values", read_pixel_tensor(given.images, options)}};
  write_safetensors(given.out, tensors);
  log_info("{}: {} images", given.out, given.images.size());
}

}  // namespace sdsclip

#include "preprocess.h"

#include "paths.h"
#include "sdsclip/base/log.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {

void run(const PreprocessCommand& command) {
  const PreprocessOptions options =
      preprocess_options(read_bundle(bundle_path(command.bundle)).image, command.convert);
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"pixel_values", read_pixel_tensor(command.images, options)}};
  write_safetensors(command.out, tensors);
  log_info("{}: {} images", command.out, command.images.size());
}

}  // namespace sdsclip

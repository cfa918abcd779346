#include "export.h"

#include "paths.h"
#include "sdsclip/base/log.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {
namespace {

/// Whether the source library stores the buffer with its weights. Masks and position ids are made anew by the
/// model, and refused by loaders that are strict.
bool is_statistic(const std::string& name) {
  return name.ends_with(".running_mean") || name.ends_with(".running_var") ||
         name.ends_with(".num_batches_tracked");
}

}  // namespace

void run(const ExportCommand& command) {
  const Placement placement = prepare_compute({.device = "cpu"});
  ClipModel model(read_bundle(bundle_path(command.clip), BundleKind::kClip), placement);
  load_tuned(model, command.tuned);
  if (command.format == ExportFormat::kBundle) {
    save_bundle(model, model.bundle().name + "-tuned", command.out);
  } else {
    std::vector<NamedTensor> tensors = model.parameters();
    for (const NamedTensor& buffer : model.buffers()) {
      if (is_statistic(buffer.first)) tensors.push_back(buffer);
    }
    write_safetensors(command.out, tensors, {{"format", "pt"}});
  }
  log_info("{}: written", command.out);
}

}  // namespace sdsclip

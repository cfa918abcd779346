#include "embed.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "paths.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/text.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {
namespace {

constexpr std::size_t kBatch = 64;

std::vector<std::string> read_lines(const std::string& file) {
  std::vector<std::string> lines = split(read_file(file), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) throw input_error("{}: holds no line", file);
  for (std::string& line : lines) {
    if (line.ends_with('\r')) line.pop_back();
  }
  return lines;
}

/// `encode` of each batch of lines, put together: f32[N, D].
template <typename Encode>
at::Tensor encode_all(const std::vector<std::string>& lines, Encode&& encode) {
  std::vector<at::Tensor> batches;
  for (std::size_t first = 0; first < lines.size(); first += kBatch) {
    const std::size_t count = std::min(kBatch, lines.size() - first);
    batches.push_back(encode(std::span<const std::string>(lines.data() + first, count)).cpu());
  }
  return at::cat(batches);
}

}  // namespace

void run(const EmbedCommand& command) {
  if (command.images.empty() && command.text.empty()) {
    throw usage_error("embed: got neither --images nor --text, expected one of them or both");
  }
  const at::NoGradGuard no_grad;
  const Placement placement = prepare_compute(command.compute);
  ClipModel model(read_bundle(bundle_path(command.clip), BundleKind::kClip), placement);
  if (!command.tuned.empty()) load_tuned(model, command.tuned);

  std::vector<std::pair<std::string, at::Tensor>> tensors;
  if (!command.images.empty()) {
    const PreprocessOptions options = preprocess_options(model.bundle().image, command.convert);
    tensors.emplace_back("image_embeds",
                         encode_all(read_lines(command.images), [&](std::span<const std::string> files) {
                           return model.encode_image(read_pixel_tensor(files, options));
                         }));
  }
  if (!command.text.empty()) {
    const Tokenizer tokenizer = load_tokenizer(model.bundle());
    tensors.emplace_back("text_embeds",
                         encode_all(read_lines(command.text), [&](std::span<const std::string> texts) {
                           return model.encode_text(tokenize(tokenizer, texts));
                         }));
  }
  write_safetensors(command.out, tensors);
  for (const std::pair<std::string, at::Tensor>& tensor : tensors) {
    log_info("{}: {} [{}, {}]", command.out, tensor.first, tensor.second.size(0), tensor.second.size(1));
  }
}

}  // namespace sdsclip

#include "embed.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "paths.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/task_queue.h"
#include "sdsclip/base/text.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatchesWaiting = 2;

std::vector<std::string> read_lines(const std::string& file) {
  std::vector<std::string> lines = split(read_file(file), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) throw input_error("{}: holds no line", file);
  for (std::string& line : lines) {
    if (line.ends_with('\r')) line.pop_back();
  }
  return lines;
}

/// `encode` of each batch of `count` lines, put together: f32[N, D]. A batch is read back on another thread,
/// while the next one is encoded.
template <typename Encode>
at::Tensor encode_all(std::size_t count, const Encode& encode) {
  std::vector<at::Tensor> batches;
  TaskQueue reader(kBatchesWaiting);
  for (std::size_t first = 0; first < count; first += kBatch) {
    const at::Tensor batch = encode(first, std::min(kBatch, count - first));
    reader.add([&batches, batch] { batches.push_back(batch.cpu()); });
  }
  reader.finish();
  return at::cat(batches);
}

at::Tensor encode_images(const ClipModel& model, const EmbedCommand& command) {
  const PreprocessOptions options = preprocess_options(model.bundle().image, command.convert);
  const std::vector<std::string> files = read_lines(command.images);
  std::vector<std::int64_t> batches((files.size() + kBatch - 1) / kBatch);
  std::iota(batches.begin(), batches.end(), 0);
  PixelUnits pixels(static_cast<std::int64_t>(files.size()), batches, kBatch, options, command.workers,
                    model.placement().device, [&](std::size_t i, std::span<std::uint8_t> out) {
                      read_file_square(files[i], options, out);
                    });
  return encode_all(files.size(), [&](std::size_t, std::size_t size) {
    return model.encode_image(pixels.next().narrow(0, 0, static_cast<std::int64_t>(size)));
  });
}

at::Tensor encode_texts(const ClipModel& model, const EmbedCommand& command) {
  const Tokenizer tokenizer = load_tokenizer(model.bundle());
  const std::vector<std::string> texts = read_lines(command.text);
  return encode_all(texts.size(), [&](std::size_t first, std::size_t size) {
    return model.encode_text(tokenize(tokenizer, std::span(texts).subspan(first, size)));
  });
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
  if (!command.images.empty()) tensors.emplace_back("image_embeds", encode_images(model, command));
  if (!command.text.empty()) tensors.emplace_back("text_embeds", encode_texts(model, command));
  write_safetensors(command.out, tensors);
  for (const std::pair<std::string, at::Tensor>& tensor : tensors) {
    log_info("{}: {} [{}, {}]", command.out, tensor.first, tensor.second.size(0), tensor.second.size(1));
  }
}

}  // namespace sdsclip

#include "sdsclip/models/inputs.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sdsclip/base/files.h"

namespace sdsclip {

PreprocessOptions preprocess_options(const BundleImage& image) {
  PreprocessOptions options;
  options.size = static_cast<int>(image.size);
  options.resize = image.resize == ResizeRule::kSquash ? ResizeMode::kSquash : ResizeMode::kShortestEdge;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    options.mean[channel] = static_cast<float>(image.mean[channel]);
    options.std[channel] = static_cast<float>(image.std[channel]);
  }
  return options;
}

ClipTokenizer load_tokenizer(const Bundle& bundle) {
  const BundleTokenizer& tokenizer = bundle.tokenizer;
  verify_bundle(bundle, {tokenizer.merges});
  TokenizerOptions options;
  options.clean = tokenizer.clean == "transformers" ? TextCleaning::kTransformers : TextCleaning::kOpenClip;
  options.context_length = static_cast<int>(tokenizer.context_length);
  options.sot = tokenizer.sot;
  options.eot = tokenizer.eot;
  options.pad = tokenizer.pad;
  options.overflow = tokenizer.overflow == "error" ? Overflow::kError : Overflow::kTruncate;
  const std::filesystem::path merges = bundle.folder / tokenizer.merges;
  return ClipTokenizer(read_file(merges), options, merges.string());
}

at::Tensor tokenize(const ClipTokenizer& tokenizer, std::span<const std::string> texts) {
  std::vector<std::int64_t> ids;
  for (const std::string& text : texts) {
    const std::vector<std::int64_t> own = tokenizer.encode(text);
    ids.insert(ids.end(), own.begin(), own.end());
  }
  const std::int64_t count = static_cast<std::int64_t>(texts.size());
  return at::tensor(ids, at::kLong).view({count, count == 0 ? 0 : -1});
}

at::Tensor pixel_tensor(std::span<const std::uint8_t> pixels, const PreprocessOptions& options) {
  const std::size_t elements = options.element_count();
  const std::size_t count = pixels.size() / elements;
  at::Tensor tensor =
      at::empty({static_cast<std::int64_t>(count), 3, options.size, options.size}, at::kFloat);
  float* out = tensor.data_ptr<float>();
  for (std::size_t i = 0; i < count; ++i) {
    normalize_pixels(pixels.subspan(i * elements, elements), options, {out + i * elements, elements});
  }
  return tensor;
}

at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options) {
  const std::size_t elements = options.element_count();
  std::vector<std::uint8_t> pixels(files.size() * elements);
  for (std::size_t i = 0; i < files.size(); ++i) {
    resize_and_crop(read_image(files[i]), options, std::span(pixels).subspan(i * elements, elements));
  }
  return pixel_tensor(pixels, options);
}

}  // namespace sdsclip

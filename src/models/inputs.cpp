#include "sdsclip/models/inputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {

namespace {

TextCleaning cleaning_of(const std::string& name) {
  if (name == "transformers") return TextCleaning::kTransformers;
  if (name == "whitespace") return TextCleaning::kWhitespace;
  return name == "canonicalize" ? TextCleaning::kCanonicalize : TextCleaning::kOpenClip;
}

}  // namespace

PreprocessOptions preprocess_options(const BundleImage& image, ConvertOrder convert) {
  PreprocessOptions options;
  options.size = static_cast<int>(image.size);
  options.resize = image.resize;
  options.interpolation = image.interpolation;
  options.crop_rounding = image.crop_rounding;
  options.convert = convert;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    options.mean[channel] = static_cast<float>(image.mean[channel]);
    options.std[channel] = static_cast<float>(image.std[channel]);
  }
  return options;
}

namespace {

Tokenizer make_tokenizer(const Bundle& bundle) {
  const BundleTokenizer& tokenizer = bundle.tokenizer;
  TokenizerOptions options;
  options.clean = cleaning_of(tokenizer.clean);
  options.context_length = static_cast<int>(tokenizer.context_length);
  options.sot = tokenizer.sot;
  options.eot = tokenizer.eot;
  options.pad = tokenizer.pad;
  options.overflow = tokenizer.overflow == "error" ? Overflow::kError : Overflow::kTruncate;
  if (tokenizer.kind == "sentencepiece") {
    const std::filesystem::path model = bundle.folder / tokenizer.model;
    SentencePieceFiles files;
    files.model = read_file(model);
    if (!tokenizer.charsmap.empty()) files.charsmap = read_file(bundle.folder / tokenizer.charsmap);
    files.is_pairs = tokenizer.algorithm == "bpe";
    return sentencepiece_tokenizer(files, options, model.string());
  }
  if (tokenizer.kind == "wordpiece") {
    const std::filesystem::path vocabulary = bundle.folder / tokenizer.vocab;
    return wordpiece_tokenizer(read_file(vocabulary), options, vocabulary.string());
  }
  const std::filesystem::path merges = bundle.folder / tokenizer.merges;
  return clip_tokenizer(read_file(merges), options, merges.string());
}

}  // namespace

Tokenizer load_tokenizer(const Bundle& bundle) {
  verify_bundle(bundle, tokenizer_files(bundle.tokenizer));
  Tokenizer tokenizer = make_tokenizer(bundle);
  if (tokenizer.vocab_size() != bundle.tokenizer.vocab_size) {
    throw input_error("{}: tokenizer.vocab_size: got {}, expected {}, which its files make",
                      (bundle.folder / "bundle.json").string(), bundle.tokenizer.vocab_size,
                      tokenizer.vocab_size());
  }
  return tokenizer;
}

at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> texts) {
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

at::Tensor read_pixel_tensor(std::int64_t count, std::int64_t rows, const PreprocessOptions& options,
                             std::int64_t workers, const ReadSquare& read) {
  const std::size_t images = static_cast<std::size_t>(count);
  const std::size_t elements = options.element_count();
  std::vector<std::uint8_t> pixels(images * elements);
  std::vector<std::exception_ptr> failures(images);
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < images; i = next++) {
      try {
        read(i, std::span(pixels).subspan(i * elements, elements));
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    const std::size_t extra = std::min(images, static_cast<std::size_t>(workers));
    for (std::size_t i = 1; i < extra; ++i) threads.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  const at::Tensor tensor = pixel_tensor(pixels, options);
  if (rows == count) return tensor;
  return at::cat({tensor, at::zeros({rows - count, 3, options.size, options.size}, at::kFloat)});
}

at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options) {
  const std::int64_t count = static_cast<std::int64_t>(files.size());
  return read_pixel_tensor(count, count, options, 1, [&](std::size_t i, std::span<std::uint8_t> out) {
    resize_and_crop(decode_for(options, read_image_bytes(files[i]), files[i]), options, out);
  });
}

}  // namespace sdsclip

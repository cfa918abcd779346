#include "sdsclip/models/inputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

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

PixelUnits::PixelUnits(std::int64_t count, std::vector<std::int64_t> units, std::int64_t size,
                       const PreprocessOptions& options, std::int64_t workers, c10::Device device,
                       ReadSquare read)
    : count_(count),
      units_(std::move(units)),
      size_(size),
      options_(options),
      pinned_(device.is_cuda()),
      read_(std::move(read)) {
  std::size_t images = 0;
  for (std::size_t place = 0; place < units_.size(); ++place) {
    images += static_cast<std::size_t>(rows_of(place));
  }
  for (std::size_t place = 0; place < slots_.size(); ++place) prepare_slot(place);
  ahead_.emplace(images, slots_.size() * static_cast<std::size_t>(size_), workers,
                 [this](std::size_t item) { read_image(item); });
}

std::int64_t PixelUnits::rows_of(std::size_t place) const {
  return std::clamp(count_ - units_[place] * size_, std::int64_t{0}, size_);
}

void PixelUnits::prepare_slot(std::size_t place) {
  if (place >= units_.size()) return;
  at::Tensor& slot = slots_[place % slots_.size()];
  slot = at::empty({size_, 3, options_.size, options_.size},
                   at::TensorOptions().dtype(at::kFloat).pinned_memory(pinned_));
  const std::int64_t rows = rows_of(place);
  if (rows < size_) slot.narrow(0, rows, size_ - rows).zero_();
}

void PixelUnits::read_image(std::size_t item) {
  const std::size_t size = static_cast<std::size_t>(size_);
  const std::size_t place = item / size;
  const std::size_t row = item % size;
  const std::size_t elements = options_.element_count();
  std::vector<std::uint8_t> pixels(elements);
  read_(static_cast<std::size_t>(units_[place]) * size + row, pixels);
  float* const out = slots_[place % slots_.size()].data_ptr<float>();
  normalize_pixels(pixels, options_, {out + row * elements, elements});
}

at::Tensor PixelUnits::next() {
  const std::size_t place = taken_++;
  const std::size_t first = place * static_cast<std::size_t>(size_);
  ahead_->wait_until(first + static_cast<std::size_t>(rows_of(place)));
  at::Tensor pixels = std::move(slots_[place % slots_.size()]);
  prepare_slot(place + slots_.size());
  ahead_->release(first + static_cast<std::size_t>(size_));
  return pixels;
}

void read_file_square(const std::string& file, const PreprocessOptions& options,
                      std::span<std::uint8_t> out) {
  resize_and_crop(decode_for(options, read_image_bytes(file), file), options, out);
}

at::Tensor read_pixel_tensor(std::span<const std::string> files, const PreprocessOptions& options) {
  const std::int64_t count = static_cast<std::int64_t>(files.size());
  return PixelUnits(
             count, {0}, count, options, 0, at::kCPU,
             [&](std::size_t i, std::span<std::uint8_t> out) { read_file_square(files[i], options, out); })
      .next();
}

}  // namespace sdsclip

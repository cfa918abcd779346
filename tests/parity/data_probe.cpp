// Runs the data module's functions on a list of inputs and writes what they give as raw numbers, for the Python
// tests beside it:
//
//   data_probe decode LIST OUT
//   data_probe preprocess SIZE shortest_edge|squash bicubic|bilinear round|floor first|after_resize LIST OUT
//   data_probe measure SIZE ROUNDS LIST OUT      (processor seconds of one image, as a 64-bit float)
//   data_probe tokenize MERGES open_clip|transformers CONTEXT_LENGTH PAD LIST OUT
//   data_probe sentencepiece MODEL CHARSMAP|- unigram|bpe canonicalize|whitespace CONTEXT_LENGTH EOT PAD LIST OUT
//   data_probe wordpiece VOCAB CONTEXT_LENGTH SOT EOT PAD LIST OUT
//
// LIST holds the inputs (file names or texts), and OUT the outputs, as records: a 32-bit length and so many
// bytes. An output record starts with a byte: 0 and the raw result, or 1 and the text of an error.
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/data/image.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"

namespace {

using sdsclip::ConvertOrder;
using sdsclip::CropRounding;
using sdsclip::Image;
using sdsclip::Interpolation;
using sdsclip::PreprocessOptions;
using sdsclip::ResizeMode;
using sdsclip::TextCleaning;
using sdsclip::Tokenizer;
using sdsclip::TokenizerOptions;

template <typename T>
std::string raw(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::vector<std::string> read_records(const std::string& path) {
  const std::string bytes = sdsclip::read_file(path);
  std::vector<std::string> records;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint32_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof size);
    records.push_back(bytes.substr(at + sizeof size, size));
    at += sizeof size + size;
  }
  return records;
}

void write_record(std::ofstream& out, char kind, const std::string& content) {
  const std::uint32_t size = static_cast<std::uint32_t>(content.size() + 1);
  out.write(reinterpret_cast<const char*>(&size), sizeof size);
  out.put(kind);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::string decoded(const std::string& path) {
  const Image image = sdsclip::read_image(path);
  const std::int32_t shape[] = {image.width, image.height};
  return raw<std::int32_t>(shape) + raw<std::uint8_t>(image.pixels);
}

std::string preprocessed(const std::string& path, const PreprocessOptions& options) {
  std::vector<float> values(options.element_count());
  std::vector<std::uint8_t> pixels(options.element_count());
  sdsclip::resize_and_crop(sdsclip::decode_for(options, sdsclip::read_image_bytes(path), path), options,
                           pixels);
  sdsclip::normalize_pixels(pixels, options, values);
  return raw<float>(values);
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Decodes and normalises an image `rounds` times, like a worker of the loader.
std::string measured(const std::string& path, const PreprocessOptions& options, int rounds) {
  const double start = processor_seconds();
  for (int i = 0; i < rounds; ++i) (void)preprocessed(path, options);
  const double seconds = (processor_seconds() - start) / rounds;
  return raw<double>({&seconds, 1});
}

Tokenizer sentencepiece(const std::vector<std::string>& arguments) {
  sdsclip::SentencePieceFiles files;
  files.model = sdsclip::read_file(arguments[1]);
  if (arguments[2] != "-") files.charsmap = sdsclip::read_file(arguments[2]);
  files.is_pairs = arguments[3] == "bpe";
  TokenizerOptions options;
  options.clean = arguments[4] == "whitespace" ? TextCleaning::kWhitespace : TextCleaning::kCanonicalize;
  options.context_length = std::stoi(arguments[5]);
  options.sot = TokenizerOptions::kNone;
  options.eot = std::stoll(arguments[6]);
  options.pad = std::stoll(arguments[7]);
  return sdsclip::sentencepiece_tokenizer(files, options, arguments[1]);
}

Tokenizer wordpiece(const std::vector<std::string>& arguments) {
  TokenizerOptions options;
  options.clean = TextCleaning::kWhitespace;
  options.context_length = std::stoi(arguments[2]);
  options.sot = std::stoll(arguments[3]);
  options.eot = std::stoll(arguments[4]);
  options.pad = std::stoll(arguments[5]);
  return sdsclip::wordpiece_tokenizer(sdsclip::read_file(arguments[1]), options, arguments[1]);
}

std::function<std::string(const std::string&)> make_function(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "decode") return decoded;
  if (arguments.size() == 6 && arguments[0] == "preprocess") {
    PreprocessOptions options;
    options.size = std::stoi(arguments[1]);
    options.resize = arguments[2] == "squash" ? ResizeMode::kSquash : ResizeMode::kShortestEdge;
    options.interpolation = arguments[3] == "bilinear" ? Interpolation::kBilinear : Interpolation::kBicubic;
    options.crop_rounding = arguments[4] == "floor" ? CropRounding::kFloor : CropRounding::kRound;
    options.convert = arguments[5] == "after_resize" ? ConvertOrder::kAfterResize : ConvertOrder::kFirst;
    return [options](const std::string& path) { return preprocessed(path, options); };
  }
  if (arguments.size() == 3 && arguments[0] == "measure") {
    PreprocessOptions options;
    options.size = std::stoi(arguments[1]);
    const int rounds = std::stoi(arguments[2]);
    return [options, rounds](const std::string& path) { return measured(path, options, rounds); };
  }
  if (arguments.size() == 5 && arguments[0] == "tokenize") {
    TokenizerOptions options;
    options.clean = arguments[2] == "transformers" ? TextCleaning::kTransformers : TextCleaning::kOpenClip;
    options.context_length = std::stoi(arguments[3]);
    options.pad = std::stoll(arguments[4]);
    const auto tokenizer = std::make_shared<Tokenizer>(
        sdsclip::clip_tokenizer(sdsclip::read_file(arguments[1]), options, arguments[1]));
    return [tokenizer](const std::string& text) { return raw<std::int64_t>(tokenizer->encode(text)); };
  }
  if (arguments.size() == 8 && arguments[0] == "sentencepiece") {
    const auto tokenizer = std::make_shared<Tokenizer>(sentencepiece(arguments));
    return [tokenizer](const std::string& text) { return raw<std::int64_t>(tokenizer->encode(text)); };
  }
  if (arguments.size() == 6 && arguments[0] == "wordpiece") {
    const auto tokenizer = std::make_shared<Tokenizer>(wordpiece(arguments));
    return [tokenizer](const std::string& text) { return raw<std::int64_t>(tokenizer->encode(text)); };
  }
  throw sdsclip::usage_error("data_probe: wrong arguments; see the head of data_probe.cpp");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) {
    std::cerr << "data_probe: too few arguments; see the head of data_probe.cpp\n";
    return 2;
  }
  const std::string output = arguments.back();
  const std::string list = arguments[arguments.size() - 2];
  arguments.resize(arguments.size() - 2);
  try {
    const std::function<std::string(const std::string&)> run = make_function(arguments);
    std::ofstream out(output, std::ios::binary);
    for (const std::string& input : read_records(list)) {
      try {
        write_record(out, 0, run(input));
      } catch (const sdsclip::Error& error) {
        write_record(out, 1, error.what());
      }
    }
    out.close();
    return out ? 0 : 4;
  } catch (const sdsclip::Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.exit_code());
  }
}

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/data/preprocess.h"

namespace sdsclip {

enum class BundleKind { kClip, kTeacher };
enum class PredictionType { kEpsilon, kVPrediction };

/// How a model's images must be preprocessed.
struct BundleImage {
  std::int64_t size = 224;  ///< pixels per side
  ResizeMode resize = ResizeMode::kShortestEdge;
  Interpolation interpolation = Interpolation::kBicubic;  ///< default if the bundle does not say
  CropRounding crop_rounding =
      CropRounding::kRound;  ///< of the crop's corner; default if the bundle does not say
  std::vector<double> mean = {0.5, 0.5, 0.5};
  std::vector<double> std = {0.5, 0.5, 0.5};
};

/// How a model's texts must be tokenized.
struct BundleTokenizer {
  std::string kind = "clip_bpe";  ///< clip_bpe, sentencepiece or wordpiece
  /// Text cleaning of open_clip or transformers; sentencepiece: canonicalize; wordpiece: whitespace.
  std::string clean = "open_clip";
  std::string merges = "merges.txt";  ///< clip_bpe: file of the bundle, one merge per line
  std::string algorithm;              ///< sentencepiece: unigram or bpe
  std::string model;                  ///< sentencepiece: file of the bundle
  std::string charsmap;               ///< sentencepiece: file of character replacements; empty: none
  std::string vocab;                  ///< wordpiece: file of the bundle, a piece a line
  std::int64_t context_length = 77;
  std::int64_t vocab_size = 49408;
  std::int64_t sot = 49406;  ///< -1: none
  std::int64_t eot = 49407;
  std::int64_t pad = 0;
  std::string overflow = "truncate";  ///< for too long a text: truncate (last id becomes eot) or error
  bool any_length = false;  ///< clip: embeddings stay the same without the padding after the longest text
};

/// The noise schedule that the teacher was trained with (diffusers' names).
struct BundleSchedule {
  std::string beta_schedule = "scaled_linear";
  double beta_start = 0.00085;
  double beta_end = 0.012;
  std::int64_t train_timesteps = 1000;
};

struct BundleLatent {
  std::int64_t channels = 4;
  std::int64_t size = 64;  ///< elements per side
  double scaling_factor = 0.18215;
};

struct BundleSource {
  std::string library;
  std::string version;
  std::string checkpoint;
};

struct BundleFile {
  std::int64_t bytes = 0;
  std::string sha256;
};

/// The content of `bundle.json`: everything about a model but its weights.
struct Bundle {
  std::filesystem::path folder;
  std::string sha256;  ///< of bundle.json, which holds all other files' digests: the model's identity
  BundleKind kind = BundleKind::kClip;
  std::string name;
  BundleSource source;
  std::map<std::string, BundleFile> files;
  BundleImage image;
  BundleTokenizer tokenizer;
  std::int64_t embed_dim = 0;  ///< clip: D
  std::string activation;      ///< clip: gelu or quick_gelu
  BundleSchedule schedule;     ///< from here on: teacher
  PredictionType prediction_type = PredictionType::kEpsilon;
  BundleLatent latent;
  std::int64_t context_dim = 0;  ///< teacher: E
  std::vector<std::vector<std::int64_t>>
      features;  ///< teacher: output shapes [C, h, w] of `unet.ts`'s method `features`; empty in old bundles
};

/// Reads and checks `FOLDER/bundle.json`, and the presence and size of each file that it names. Throws
/// `Error(kUsage)` with the export command if the folder is missing, and `Error(kInput)` on any other fault.
Bundle read_bundle(const std::filesystem::path& folder);

/// The same; also throws `Error(kInput)` if the bundle is not of kind `expected`.
Bundle read_bundle(const std::filesystem::path& folder, BundleKind expected);

/// Compares every file's SHA-256 with `bundle.json`. Throws `Error(kInput)` that names a file that differs.
/// `names` limits the check to these files; empty: all.
void verify_bundle(const Bundle& bundle, const std::vector<std::string>& names = {});

/// The names of the bundle's files that its tokenizer needs.
std::vector<std::string> tokenizer_files(const BundleTokenizer& tokenizer);

std::string_view kind_name(BundleKind kind);

}  // namespace sdsclip

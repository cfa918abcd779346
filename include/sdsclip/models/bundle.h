#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

enum class BundleKind { kClip, kTeacher };
enum class ResizeRule { kShortestEdge, kSquash };
enum class InterpolationRule { kBicubic, kBilinear };
enum class CropRule { kRound, kFloor };
enum class PredictionType { kEpsilon, kVPrediction };

/// What a model expects of its images.
struct BundleImage {
  std::int64_t size = 224;  ///< pixels a side
  ResizeRule resize = ResizeRule::kShortestEdge;
  InterpolationRule interpolation = InterpolationRule::kBicubic;  ///< bundles without it: bicubic
  CropRule crop_rounding = CropRule::kRound;  ///< of the centre crop's corner; bundles without it: round
  std::vector<double> mean = {0.5, 0.5, 0.5};
  std::vector<double> std = {0.5, 0.5, 0.5};
};

/// What a model expects of its texts.
struct BundleTokenizer {
  std::string kind = "clip_bpe";  ///< or sentencepiece
  std::string clean =
      "open_clip";  ///< whose text cleaning: open_clip, transformers; sentencepiece: canonicalize
  std::string merges = "merges.txt";  ///< clip_bpe: file of the bundle, a merge a line
  std::string algorithm;              ///< sentencepiece: unigram or bpe
  std::string model;                  ///< sentencepiece: file of the bundle
  std::string charsmap;               ///< sentencepiece: file of character replacements; empty: none
  std::int64_t context_length = 77;
  std::int64_t vocab_size = 49408;
  std::int64_t sot = 49406;  ///< -1: none
  std::int64_t eot = 49407;
  std::int64_t pad = 0;
  std::string overflow = "truncate";  ///< a longer text: truncate (its last id becomes eot) or error
  bool any_length = false;  ///< clip: ids cut behind the longest text's end give the same embeddings
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
  std::int64_t size = 64;  ///< elements a side
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

/// The content of `bundle.json` (DESIGN, "Bundles"): what a model is, apart from its weights.
struct Bundle {
  std::filesystem::path folder;
  std::string sha256;  ///< of bundle.json, which holds the digests of all other files: the model's identity
  BundleKind kind = BundleKind::kClip;
  std::string name;
  BundleSource source;
  std::map<std::string, BundleFile> files;
  BundleImage image;
  BundleTokenizer tokenizer;
  std::int64_t embed_dim = 0;  ///< clip: D
  std::string activation;      ///< clip: gelu or quick_gelu
  BundleSchedule schedule;     ///< teacher, from here on
  PredictionType prediction_type = PredictionType::kEpsilon;
  BundleLatent latent;
  std::int64_t context_dim = 0;  ///< teacher: E
  std::vector<std::vector<std::int64_t>>
      features;  ///< teacher: shapes [C, h, w] of what `unet.ts`'s `features` gives; empty in old bundles
};

/// Reads and checks `FOLDER/bundle.json` and that each file it names is there with its size. Throws
/// `Error(kUsage)` where the folder is missing (naming the export command), `Error(kInput)` on anything else
/// that is wrong.
Bundle read_bundle(const std::filesystem::path& folder);

/// The same, and the kind must be `expected`.
Bundle read_bundle(const std::filesystem::path& folder, BundleKind expected);

/// Compares every file's SHA-256 with the one that `bundle.json` states. Throws `Error(kInput)` that names
/// the file. `names` limits the check to these files; empty: all.
void verify_bundle(const Bundle& bundle, const std::vector<std::string>& names = {});

/// The files of the bundle that its tokenizer is made of.
std::vector<std::string> tokenizer_files(const BundleTokenizer& tokenizer);

std::string_view kind_name(BundleKind kind);

}  // namespace sdsclip

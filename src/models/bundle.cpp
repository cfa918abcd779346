#include "sdsclip/models/bundle.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/options.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/known_bundles.h"

namespace sdsclip {
namespace {

constexpr std::string_view kFormat = "sdsclip-bundle";
constexpr std::int64_t kVersion = 1;
constexpr std::array<std::string_view, 2> kKindNames = {"clip", "teacher"};
constexpr std::array<std::string_view, 2> kInterpolationNames = {"bicubic", "bilinear"};
constexpr std::array<std::string_view, 2> kCropNames = {"round", "floor"};
constexpr std::array<std::string_view, 2> kPredictionNames = {"epsilon", "v_prediction"};

/// `bundle.json` as written, before `files`, whose keys are free, is read.
struct BundleDocument {
  std::string format;
  std::int64_t version = 0;
  Bundle bundle;
};

}  // namespace

void visit_options(OptionVisitor& visitor, BundleImage& image) {
  visitor.option("size", image.size, "Pixels per side.");
  visitor.choice("resize", image.resize, kResizeNames, "How an image of another shape becomes a square.");
  visitor.choice("interpolation", image.interpolation, kInterpolationNames, "Filter of the resize.");
  visitor.choice(
      "crop_rounding", image.crop_rounding, kCropNames,
      "Rounding of a crop's corner at half a pixel: round (to even, open_clip) or floor (transformers).");
  visitor.option("mean", image.mean, "Mean per channel in [0, 1], which is subtracted.");
  visitor.option("std", image.std, "Standard deviation per channel, which divides after that.");
}

void visit_options(OptionVisitor& visitor, BundleTokenizer& tokenizer) {
  visitor.option("kind", tokenizer.kind, "clip_bpe, sentencepiece or wordpiece");
  visitor.option("clean", tokenizer.clean,
                 "text cleaning: open_clip, transformers, canonicalize or whitespace");
  visitor.option("merges", tokenizer.merges, "clip_bpe: file of merges");
  visitor.option("algorithm", tokenizer.algorithm, "sentencepiece: unigram or bpe");
  visitor.option("model", tokenizer.model, "sentencepiece: file of the model");
  visitor.option("charsmap", tokenizer.charsmap, "sentencepiece: file of character replacements");
  visitor.option("vocab", tokenizer.vocab, "wordpiece: file of the vocabulary");
  visitor.option("context_length", tokenizer.context_length, "Number of ids per text.");
  visitor.option("vocab_size", tokenizer.vocab_size, "Number of different ids.");
  visitor.option("sot", tokenizer.sot, "Id at the start of a text.");
  visitor.option("eot", tokenizer.eot, "Id at the end of a text.");
  visitor.option("pad", tokenizer.pad, "Id that fills the rest of the context.");
  visitor.option("overflow", tokenizer.overflow, "What happens to a longer text: truncate or error.");
  visitor.option("any_length", tokenizer.any_length,
                 "Whether ids may be cut behind the end of the longest text.");
}

void visit_options(OptionVisitor& visitor, BundleSchedule& schedule) {
  visitor.option("beta_schedule", schedule.beta_schedule, "linear or scaled_linear");
  visitor.option("beta_start", schedule.beta_start, "first beta");
  visitor.option("beta_end", schedule.beta_end, "last beta");
  visitor.option("train_timesteps", schedule.train_timesteps, "number of timesteps");
}

void visit_options(OptionVisitor& visitor, BundleLatent& latent) {
  visitor.option("channels", latent.channels, "channels");
  visitor.option("size", latent.size, "Elements per side.");
  visitor.option("scaling_factor", latent.scaling_factor, "Factor of the encoder's mean.");
}

void visit_options(OptionVisitor& visitor, BundleSource& source) {
  visitor.option("library", source.library, "Library that the model was exported from.");
  visitor.option("version", source.version, "Version of that library.");
  visitor.option("checkpoint", source.checkpoint, "weights");
}

void visit_options(OptionVisitor& visitor, BundleDocument& document) {
  Bundle& bundle = document.bundle;
  visitor.option("format", document.format, "sdsclip-bundle");
  visitor.option("version", document.version, "1");
  visitor.choice("kind", bundle.kind, kKindNames, "clip or teacher");
  visitor.option("name", bundle.name, "Name for people.");
  visitor.section("source", bundle.source, "Origin of the weights.");
  visitor.section("image", bundle.image, "Preprocessing of images.");
  visitor.section("tokenizer", bundle.tokenizer, "Tokenizer of texts.");
  if (bundle.kind == BundleKind::kClip) {
    visitor.option("embed_dim", bundle.embed_dim, "Dimension of the embeddings.");
    visitor.option("activation", bundle.activation, "gelu or quick_gelu");
  } else {
    visitor.section("schedule", bundle.schedule, "Noise schedule.");
    visitor.choice("prediction_type", bundle.prediction_type, kPredictionNames, "Prediction of the UNet.");
    visitor.section("latent", bundle.latent, "Shape of the latent.");
    visitor.option("context_dim", bundle.context_dim, "Dimension of the context.");
  }
}

namespace {

void require(bool condition, const fs::path& json, std::string_view key, std::string_view got,
             std::string_view expected) {
  if (!condition) throw input_error("{}: {}: got {}, expected {}", json.string(), key, got, expected);
}

template <typename Number>
void require_range(Number value, Number least, Number most, const fs::path& json, std::string_view key) {
  require(value >= least && value <= most, json, key, fmt::format("{}", value),
          fmt::format("{} to {}", least, most));
}

/// The node's integer. Today's largest models are far below these limits, which keep products of a few sizes
/// within 64 bits.
std::int64_t integer_of(const ConfigNode& node, std::string_view key, std::int64_t most) {
  std::int64_t value = 0;
  const char* const end = node.text.data() + node.text.size();
  const auto [stop, failure] = std::from_chars(node.text.data(), end, value);
  const bool sound = node.kind == ConfigNode::Kind::kInteger && failure == std::errc() && stop == end;
  if (!sound || value < 0 || value > most) {
    throw input_error("{}: {}: got {}, expected an integer of 0 to {}", node.origin, key,
                      node.text.empty() ? describe(node.kind) : node.text, most);
  }
  return value;
}

constexpr std::int64_t kMostPixels = 8192;
constexpr std::int64_t kMostWidth = 65536;
constexpr std::int64_t kMostIds = 1 << 24;
constexpr std::int64_t kMostTimesteps = 1'000'000;
constexpr std::int64_t kMostLatent = 4096;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;

void check_image(const BundleImage& image, const fs::path& json) {
  require_range<std::int64_t>(image.size, 1, kMostPixels, json, "image.size");
  require(image.mean.size() == 3 && image.std.size() == 3, json, "image.mean, image.std",
          fmt::format("{} and {} numbers", image.mean.size(), image.std.size()), "3 and 3");
  for (const double mean : image.mean) require_range(mean, -100.0, 100.0, json, "image.mean");
  for (const double deviation : image.std) require_range(deviation, 1e-4, 100.0, json, "image.std");
}

void check_tokenizer_kind(const BundleTokenizer& tokenizer, const fs::path& json) {
  const auto require_clean = [&](std::string_view expected, bool right) {
    require(right, json, "tokenizer.clean", tokenizer.clean, expected);
  };
  if (tokenizer.kind == "clip_bpe") {
    require_clean("open_clip or transformers",
                  tokenizer.clean == "open_clip" || tokenizer.clean == "transformers");
  } else if (tokenizer.kind == "sentencepiece") {
    require_clean("canonicalize", tokenizer.clean == "canonicalize");
    require(tokenizer.algorithm == "unigram" || tokenizer.algorithm == "bpe", json, "tokenizer.algorithm",
            tokenizer.algorithm, "unigram or bpe");
  } else if (tokenizer.kind == "wordpiece") {
    require_clean("whitespace", tokenizer.clean == "whitespace");
  } else {
    require(false, json, "tokenizer.kind", tokenizer.kind, "clip_bpe, sentencepiece or wordpiece");
  }
}

void check_tokenizer(const BundleTokenizer& tokenizer, const fs::path& json) {
  check_tokenizer_kind(tokenizer, json);
  require_range<std::int64_t>(tokenizer.context_length, 2, kMostWidth, json, "tokenizer.context_length");
  require_range<std::int64_t>(tokenizer.vocab_size, 1, kMostIds, json, "tokenizer.vocab_size");
  const std::int64_t last = tokenizer.vocab_size - 1;
  require_range<std::int64_t>(tokenizer.sot, tokenizer.kind == "sentencepiece" ? -1 : 0, last, json,
                              "tokenizer.sot");
  require_range<std::int64_t>(tokenizer.eot, 0, last, json, "tokenizer.eot");
  require_range<std::int64_t>(tokenizer.pad, 0, last, json, "tokenizer.pad");
  require(tokenizer.overflow == "truncate" || tokenizer.overflow == "error", json, "tokenizer.overflow",
          tokenizer.overflow, "truncate or error");
}

void check_teacher(const Bundle& bundle, const fs::path& json) {
  const BundleSchedule& schedule = bundle.schedule;
  require(schedule.beta_schedule == "linear" || schedule.beta_schedule == "scaled_linear", json,
          "schedule.beta_schedule", schedule.beta_schedule, "linear or scaled_linear");
  require_range(schedule.beta_start, 0.0, 1.0, json, "schedule.beta_start");
  require_range(schedule.beta_end, schedule.beta_start, 1.0, json, "schedule.beta_end");
  require_range<std::int64_t>(schedule.train_timesteps, 1, kMostTimesteps, json, "schedule.train_timesteps");
  require_range<std::int64_t>(bundle.latent.channels, 1, kMostLatent, json, "latent.channels");
  require_range<std::int64_t>(bundle.latent.size, 1, kMostLatent, json, "latent.size");
  require_range(bundle.latent.scaling_factor, 1e-6, 1e6, json, "latent.scaling_factor");
  require_range<std::int64_t>(bundle.context_dim, 1, kMostWidth, json, "context_dim");
}

void check_content(const Bundle& bundle, const fs::path& json) {
  check_image(bundle.image, json);
  check_tokenizer(bundle.tokenizer, json);
  std::vector<std::string> needed = tokenizer_files(bundle.tokenizer);
  if (bundle.kind == BundleKind::kClip) {
    require_range<std::int64_t>(bundle.embed_dim, 1, kMostWidth, json, "embed_dim");
    needed.emplace_back("clip.ts");
  } else {
    check_teacher(bundle, json);
    for (const char* name : {"unet.ts", "vae_encoder.ts", "text_encoder.ts"}) needed.emplace_back(name);
  }
  for (const std::string& name : needed) {
    require(bundle.files.contains(name), json, "files", fmt::format("no '{}'", name), "an entry for it");
  }
}

/// Whether `name` is a file directly in the folder.
bool is_plain_name(const std::string& name) {
  const bool dots = name == "." || name == "..";
  return !name.empty() && !dots && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

bool is_digest(const ConfigNode& node) {
  return node.kind == ConfigNode::Kind::kText && node.text.size() == 64 &&
         node.text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::map<std::string, BundleFile> read_files(const ConfigNode& node, const fs::path& json) {
  require(node.kind == ConfigNode::Kind::kMap, json, "files", describe(node.kind), "a map of file names");
  std::map<std::string, BundleFile> files;
  for (const ConfigNode& field : node.fields) {
    require(is_plain_name(field.name), json, "files", fmt::format("'{}'", field.name),
            "a name without a folder");
    const ConfigNode* bytes = field.find("bytes");
    const ConfigNode* digest = field.find("sha256");
    if (bytes == nullptr || digest == nullptr || !is_digest(*digest)) {
      throw input_error("{}: files.{}: expected 'bytes' (an integer) and 'sha256' (64 digits)", field.origin,
                        field.name);
    }
    files[field.name] = {integer_of(*bytes, fmt::format("files.{}.bytes", field.name), kMostBytes),
                         digest->text};
  }
  return files;
}

/// Reads shapes such as `[[32, 4, 4], ...]`; empty if the document has none.
std::vector<std::vector<std::int64_t>> read_shapes(const ConfigNode& node, const fs::path& json) {
  require(node.kind == ConfigNode::Kind::kNull || node.kind == ConfigNode::Kind::kList, json, "features",
          describe(node.kind), "a list of sizes [C, h, w]");
  std::vector<std::vector<std::int64_t>> shapes;
  for (const ConfigNode& item : node.items) {
    std::vector<std::int64_t>& shape = shapes.emplace_back();
    for (const ConfigNode& side : item.items) shape.push_back(integer_of(side, "features", kMostWidth));
    const bool sound = shape.size() == 3 && *std::min_element(shape.begin(), shape.end()) >= 1;
    require(sound, json, "features", fmt::format("[{}]", fmt::join(shape, ", ")), "three sizes [C, h, w]");
  }
  return shapes;
}

}  // namespace

std::vector<std::string> tokenizer_files(const BundleTokenizer& tokenizer) {
  if (tokenizer.kind == "wordpiece") return {tokenizer.vocab};
  if (tokenizer.kind != "sentencepiece") return {tokenizer.merges};
  if (tokenizer.charsmap.empty()) return {tokenizer.model};
  return {tokenizer.model, tokenizer.charsmap};
}

std::string_view kind_name(BundleKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

namespace {

/// Of a folder without `bundle.json`: what it looks like instead, and the script that makes a bundle of it.
Error no_bundle(const fs::path& folder) {
  const auto has = [&](const char* name) { return is_there(folder / name); };
  std::string_view kind = "";
  std::string_view advice = "make one with scripts/export_clip.py or scripts/export_teacher.py";
  if (has("model_index.json") || has("unet")) {
    kind = "a folder of diffusers, and ";
    advice = "make a bundle of it with scripts/export_teacher.py";
  } else if (has("config.json") || has("open_clip_config.json")) {
    kind = "a folder of transformers or open_clip, and ";
    advice = "make a bundle of it with scripts/export_clip.py";
  }
  return input_error("{}: is {}no bundle: it has no bundle.json; {}", folder.string(), kind, advice);
}

}  // namespace

Bundle read_bundle(const fs::path& folder) {
  const fs::path json = folder / "bundle.json";
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    const std::string command = export_command(folder);
    if (!command.empty()) {
      throw usage_error("{}: no such bundle; make it with `{}`", folder.string(), command);
    }
    throw usage_error(
        "{}: no such bundle, here or below SDSCLIP_MODELS (default models); make one with "
        "scripts/export_clip.py "
        "or scripts/export_teacher.py",
        folder.string());
  }
  if (!is_there(json)) throw no_bundle(folder);
  const std::string text = read_file(json, kSmallFileBytes);
  ConfigNode root = parse_json(text, json.string());
  if (root.kind != ConfigNode::Kind::kMap) {
    throw input_error("{}: got {}, expected a map", json.string(), describe(root.kind));
  }
  const ConfigNode* format = root.find("format");
  const ConfigNode* version = root.find("version");
  if (format == nullptr || format->text != kFormat || version == nullptr ||
      version->text != std::to_string(kVersion)) {
    throw input_error("{}: got format '{}' version '{}', expected '{}' version {}; export the model again",
                      json.string(), format == nullptr ? "" : format->text,
                      version == nullptr ? "" : version->text, kFormat, kVersion);
  }
  const ConfigNode files = root.take("files");
  const ConfigNode features = root.take("features");
  BundleDocument document;
  bind_options(root, document, DocumentRole::kInput);

  Bundle bundle = std::move(document.bundle);
  bundle.folder = folder;
  bundle.sha256 = sha256(text);
  bundle.files = read_files(files, json);
  bundle.features = read_shapes(features, json);
  check_content(bundle, json);
  for (const std::pair<const std::string, BundleFile>& file : bundle.files) {
    const fs::path path = folder / file.first;
    if (!fs::is_regular_file(path, ignored)) {
      throw input_error("{}: missing, but named in {}; export the bundle again", path.string(),
                        json.string());
    }
    const std::int64_t bytes = static_cast<std::int64_t>(fs::file_size(path));
    if (bytes != file.second.bytes) {
      throw input_error("{}: got {} bytes, expected {} ({}); export or copy the bundle again", path.string(),
                        bytes, file.second.bytes, json.string());
    }
  }
  return bundle;
}

Bundle read_bundle(const fs::path& folder, BundleKind expected) {
  Bundle bundle = read_bundle(folder);
  if (bundle.kind != expected) {
    throw usage_error("{}: got a bundle of kind '{}', expected '{}'", folder.string(), kind_name(bundle.kind),
                      kind_name(expected));
  }
  return bundle;
}

void verify_bundle(const Bundle& bundle, const std::vector<std::string>& names) {
  for (const std::pair<const std::string, BundleFile>& file : bundle.files) {
    if (!names.empty() && std::find(names.begin(), names.end(), file.first) == names.end()) continue;
    const fs::path path = bundle.folder / file.first;
    const std::string digest = sha256_of_file(path);
    if (digest != file.second.sha256) {
      throw input_error(
          "{}: got SHA-256 {}, expected {} (bundle.json); the file was changed or damaged: export or "
          "copy the bundle again",
          path.string(), digest, file.second.sha256);
    }
  }
}

}  // namespace sdsclip

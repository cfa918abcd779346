#pragma once

#include <torch/script.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scoring/case_tables.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/bundle.h"

// Bundles whose networks are a few lines of arithmetic, so that tests can compute their output by hand.
namespace sdsclip::testing {

inline constexpr std::int64_t kTinyVocabulary = 256 * 2 + 1 + 2;  // bytes, one merge, start and end

/// A module with one parameter `weight` and the given TorchScript methods.
inline torch::jit::Module tiny_module(const at::Tensor& weight, const std::string& methods) {
  torch::jit::Module module("tiny");
  module.register_parameter("weight", weight, false);
  module.define(methods);
  return module;
}

/// Writes `bundle.json` over the files that are in the folder already.
inline void write_manifest(const std::filesystem::path& folder, nlohmann::json document) {
  std::ofstream(folder / "merges.txt") << "a b\n";
  document["format"] = "sdsclip-bundle";
  document["version"] = 1;
  document["source"] = {{"library", "tests"}, {"version", "1"}, {"checkpoint", "none"}};
  document["image"] = {
      {"size", 8}, {"resize", "squash"}, {"mean", {0.5, 0.5, 0.5}}, {"std", {0.5, 0.5, 0.5}}};
  document["tokenizer"] = {{"kind", "clip_bpe"},
                           {"clean", "open_clip"},
                           {"merges", "merges.txt"},
                           {"context_length", 6},
                           {"vocab_size", kTinyVocabulary},
                           {"sot", kTinyVocabulary - 2},
                           {"eot", kTinyVocabulary - 1},
                           {"pad", 0},
                           {"overflow", "truncate"}};
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(folder)) {
    const std::string bytes = read_file(entry.path());
    document["files"][entry.path().filename().string()] = {{"bytes", bytes.size()},
                                                           {"sha256", sha256(bytes)}};
  }
  std::ofstream(folder / "bundle.json") << document.dump();
}

/// A teacher of 8x8 images with a latent of 2x4x4 and a context of 6x3. Its text encoder looks ids up in a
/// table, its VAE's mean is two of the image's channels at half the size, its UNet `tiny_unet` below.
inline Bundle write_tiny_teacher(const std::filesystem::path& folder, const std::string& prediction_type) {
  std::filesystem::create_directories(folder);
  torch::manual_seed(1);
  tiny_module(torch::ones({1}), R"(
def forward(self, z, t, context):
    c = context.mean([1, 2]).view(-1, 1, 1, 1)
    return torch.sin(z * (1.0 + c)) + self.weight * c * t.to(z.dtype).view(-1, 1, 1, 1) / 1000.0
)")
      .save((folder / "unet.ts").string());
  tiny_module(torch::ones({1}), R"(
def forward(self, pixels):
    small = torch.avg_pool2d(pixels, [2, 2], [2, 2]) * self.weight
    return torch.cat([small[:, 0:2], torch.zeros_like(small[:, 0:2])], 1)
)")
      .save((folder / "vae_encoder.ts").string());
  tiny_module(torch::randn({kTinyVocabulary, 3}), R"(
def forward(self, ids):
    return torch.embedding(self.weight, ids)
)")
      .save((folder / "text_encoder.ts").string());
  write_manifest(folder, {{"kind", "teacher"},
                          {"name", "tiny-teacher"},
                          {"schedule",
                           {{"beta_schedule", "scaled_linear"},
                            {"beta_start", 0.00085},
                            {"beta_end", 0.012},
                            {"train_timesteps", 1000}}},
                          {"prediction_type", prediction_type},
                          {"latent", {{"channels", 2}, {"size", 4}, {"scaling_factor", 0.5}}},
                          {"context_dim", 3}});
  return read_bundle(folder, BundleKind::kTeacher);
}

/// A student of 8x8 images with 5-dimensional embeddings, by these methods over a table f32[vocabulary,
/// columns].
inline Bundle write_clip_of(const std::filesystem::path& folder, const std::string& methods,
                            std::int64_t columns, bool any_length) {
  std::filesystem::create_directories(folder);
  torch::manual_seed(2);
  torch::jit::Module module = tiny_module(torch::randn({kTinyVocabulary, columns}), methods);
  module.register_parameter("logit_scale", torch::zeros({}), false);
  module.save((folder / "clip.ts").string());
  write_manifest(folder, {{"kind", "clip"}, {"name", "tiny-clip"}, {"embed_dim", 5}, {"activation", "gelu"}});
  nlohmann::json document = nlohmann::json::parse(read_file(folder / "bundle.json"));
  document["tokenizer"]["any_length"] = any_length;
  std::ofstream(folder / "bundle.json") << document.dump();
  return read_bundle(folder, BundleKind::kClip);
}

/// The first five pixels of the red channel plus one, and the sum of the ids' rows of the table.
inline Bundle write_tiny_clip(const std::filesystem::path& folder) {
  return write_clip_of(folder, R"(
def encode_image(self, pixels):
    return pixels[:, 0, 0, 0:5] + 1.0
def encode_text(self, ids):
    return torch.embedding(self.weight, ids).sum(1)
)",
                       5, /*any_length=*/false);
}

/// The same with a text tower that uses only the id at the text's end, and accepts any length.
/// Its embeddings' last element is the number of columns that it was given.
inline Bundle write_tiny_clip_of_any_length(const std::filesystem::path& folder) {
  return write_clip_of(folder, R"(
def encode_image(self, pixels):
    return pixels[:, 0, 0, 0:5] + 1.0
def encode_text(self, ids):
    words = torch.embedding(self.weight, ids).cumsum(1)
    at_end = words[torch.arange(ids.size(0)), ids.argmax(1)]
    return torch.cat([at_end, torch.full([ids.size(0), 1], float(ids.size(1)))], 1)
)",
                       4, /*any_length=*/true);
}

/// Bare 8x8 pixels, a function of `seed`, as an image of the table.
inline BenchmarkImage put_pixels(const std::filesystem::path& folder, const std::string& id, int seed) {
  std::string bytes(3 * 8 * 8, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>((static_cast<std::size_t>(seed) * 101 + i * 37) % 256);
  }
  std::ofstream(folder / id, std::ios::binary) << bytes;
  BenchmarkImage image = image_named(id);
  image.file = folder / id;
  image.raw = RawPixels{.width = 8, .height = 8, .channels = 3};
  return image;
}

/// `swap_table` with images that can be read.
inline CaseTable readable_swap_table(const std::filesystem::path& folder, int count) {
  CaseTable table = swap_table(count);
  for (std::size_t i = 0; i < table.images.size(); ++i) {
    table.images[i] = put_pixels(folder, fmt::format("{}.raw", i), static_cast<int>(i));
  }
  return table;
}

}  // namespace sdsclip::testing

#include "sdsclip/models/bundle.h"

#include "fuzz.h"

using namespace sdsclip;

namespace {

// The digests are not compared before a file is used.
constexpr const char* kFile =
    R"({"bytes": 4, "sha256": "0000000000000000000000000000000000000000000000000000000000000000"})";
constexpr const char* kShared =
    R"("format": "sdsclip-bundle", "version": 1, "name": "n", "source": {"library": "l", "version": "1", "checkpoint": "c"},
       "image": {"size": 32, "resize": "squash", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
       "tokenizer": {"kind": "clip_bpe", "clean": "open_clip", "merges": "merges.txt", "context_length": 16,
                     "vocab_size": 518, "sot": 516, "eot": 517, "pad": 0, "overflow": "truncate"},)";

std::string files(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "\"" : ", \"") + name + "\": " + kFile;
  return "\"files\": {" + text + "}}";
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  return {
      "{\"kind\": \"clip\", " + std::string(kShared) + "\"embed_dim\": 16, \"activation\": \"gelu\", " +
          files({"merges.txt", "clip.ts"}),
      "{\"kind\": \"teacher\", " + std::string(kShared) +
          R"("schedule": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "train_timesteps": 1000},
                 "prediction_type": "epsilon", "latent": {"channels": 4, "size": 8, "scaling_factor": 0.18},
                 "context_dim": 8, "features": [[8, 4, 4]], )" +
          files({"merges.txt", "unet.ts", "vae_encoder.ts", "text_encoder.ts"})};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const char* name : {"merges.txt", "clip.ts", "unet.ts", "vae_encoder.ts", "text_encoder.ts"}) {
    static_cast<void>(fuzz::put(std::filesystem::path("bundle") / name, "a b\n"));
  }
  return fuzz::read(data, size, [](std::string_view bytes) {
    const Bundle bundle = read_bundle(fuzz::put("bundle/bundle.json", bytes).parent_path());
    verify_bundle(bundle);
  });
}

// Drives the models for test_clip_parity.py and test_teacher_parity.py.
//
//   model_probe clip BUNDLE INPUTS CAPTIONS OUT DEVICE       embeddings, L_CLIP, gradients of norms
//   model_probe teacher BUNDLE INPUTS CAPTIONS OUT DEVICE    prediction, its gradient, encodings
//   model_probe load BUNDLE FILE PRECISION                   time and peak memory of loading
//   model_probe sds BUNDLE SIZE PRECISION DEVICE             time and peak memory of a UNet gradient
//
// INPUTS and OUT are safetensors files; CAPTIONS has one caption per line. Prints one JSON object.
#include <ATen/ATen.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "probe_main.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/memory.h"
#include "sdsclip/base/text.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/models/teacher.h"
#include "sdsclip/models/trainable.h"
#include "sdsclip/training/run_log.h"
#include "sdsclip/training/step.h"
#include "torchscript.h"

namespace {

using nlohmann::ordered_json;
using namespace sdsclip;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Placement placement_on(const std::string& device, const std::string& precision = "fp32") {
  return prepare_compute({.device = device,
                          .precision = precision == "bf16" ? Precision::kBf16 : Precision::kFp32,
                          .threads = 1});
}

at::Tensor read_tokens(const Bundle& bundle, const std::string& captions) {
  std::vector<std::string> lines = split(read_file(captions), '\n');
  if (lines.back().empty()) lines.pop_back();
  return tokenize(load_tokenizer(bundle), lines);
}

ordered_json run_clip(const std::vector<std::string>& arguments) {
  const ClipModel model(read_bundle(arguments[1], BundleKind::kClip), placement_on(arguments[5]));
  const c10::Device device = model.placement().device;
  const at::Tensor bytes = read_safetensors(arguments[2]).at("pixels", arguments[2]);
  const std::span<const std::uint8_t> pixels(bytes.data_ptr<std::uint8_t>(), bytes.nbytes());
  const PreprocessOptions preprocess = preprocess_options(model.bundle().image);
  StepBatch batch;
  PixelStore store(preprocess.element_count());
  store.append(pixels);
  batch.pixels = &store;
  batch.text_ids = read_tokens(model.bundle(), arguments[3]);

  std::vector<NamedTensor> outputs;
  {
    const at::NoGradGuard no_grad;
    outputs.emplace_back("image_embeds", model.encode_image(pixel_tensor(pixels, preprocess).to(device)));
    outputs.emplace_back("text_embeds", model.encode_text(batch.text_ids.to(device)));
  }
  const bool is_sigmoid = model.logit_bias().defined();
  const std::vector<NamedTensor> trained = select_trainable(model, Tune::kLayerNorm, true, is_sigmoid);
  StepOptions options;
  if (is_sigmoid) options.contrastive_kind = ContrastiveKind::kSigmoid;
  options.micro_batch_clip = 2;
  const StepResult result = accumulate_gradients({.clip = &model}, batch, options);
  for (const NamedTensor& tensor : trained)
    outputs.emplace_back("grad." + tensor.first, tensor.second.grad());
  write_safetensors(arguments[4], outputs);
  return {{"loss", result.contrastive->loss}, {"trained", element_count(trained)}};
}

ordered_json run_teacher(const std::vector<std::string>& arguments) {
  const Bundle bundle = read_bundle(arguments[1], BundleKind::kTeacher);
  const Placement placement = placement_on(arguments[5]);
  const SafetensorsFile inputs = read_safetensors(arguments[2]);
  const auto input = [&](const char* name) { return inputs.at(name, arguments[2]).to(placement.device); };
  std::vector<NamedTensor> outputs;
  {
    DiffusionTeacher teacher(bundle, {.unet = true, .vae_encoder = false, .text_encoder = false}, placement);
    const at::Tensor z = input("z").set_requires_grad(true);
    const at::Tensor prediction = teacher.predict(z, input("t"), input("context"));
    (prediction * input("direction")).sum().backward();
    outputs.emplace_back("prediction", prediction);
    outputs.emplace_back("gradient", z.grad());
  }
  DiffusionTeacher teacher(bundle, {.unet = false, .vae_encoder = true, .text_encoder = true}, placement);
  outputs.emplace_back("latent", teacher.encode_image(input("pixels")));
  outputs.emplace_back("context",
                       teacher.encode_text(read_tokens(bundle, arguments[3]).to(placement.device)));
  const at::NoGradGuard no_grad;
  torch::jit::Module encoder = load_archive(bundle, "vae_encoder.ts", placement);
  outputs.emplace_back("moments", encoder.forward({input("pixels")}).toTensor());
  write_safetensors(arguments[4], outputs);
  return ordered_json::object();
}

ordered_json run_load(const std::vector<std::string>& arguments) {
  const Bundle bundle = read_bundle(arguments[1]);
  const Placement placement = placement_on("cpu");
  const std::int64_t before = peak_memory_bytes();
  const Clock::time_point start = Clock::now();
  torch::jit::Module module = load_archive(bundle, arguments[2], placement);
  if (arguments[3] == "bf16") convert_floating(module, at::kBFloat16);
  return {{"seconds", seconds_since(start)},
          {"file_bytes", bundle.files.at(arguments[2]).bytes},
          {"peak_bytes", peak_memory_bytes()},
          {"peak_bytes_before", before}};
}

ordered_json run_sds(const std::vector<std::string>& arguments) {
  const Bundle bundle = read_bundle(arguments[1], BundleKind::kTeacher);
  DiffusionTeacher teacher(bundle, {.unet = true, .vae_encoder = false, .text_encoder = false},
                           placement_on(arguments[4], arguments[3]));
  const std::int64_t size = std::stoll(arguments[2]);
  const at::TensorOptions options = at::TensorOptions().device(teacher.placement().device);
  const at::Tensor z = at::randn({1, bundle.latent.channels, size, size}, options).set_requires_grad(true);
  const at::Tensor context = at::randn({1, bundle.tokenizer.context_length, bundle.context_dim}, options);
  const Clock::time_point start = Clock::now();
  teacher.predict(z, at::full({1}, 500, options.dtype(at::kLong)), context).sum().backward();
  return {{"seconds", seconds_since(start)}, {"peak_bytes", peak_memory_bytes()}};
}

ordered_json run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 6 && arguments[0] == "clip") return run_clip(arguments);
  if (arguments.size() == 6 && arguments[0] == "teacher") return run_teacher(arguments);
  if (arguments.size() == 4 && arguments[0] == "load") return run_load(arguments);
  if (arguments.size() == 5 && arguments[0] == "sds") return run_sds(arguments);
  throw usage_error("model_probe: expected clip, teacher, load or sds and their arguments");
}

}  // namespace

int main(int count, char** arguments) {
  return sdsclip::testing::probe_main(count, arguments, run);
}

// Counts LibTorch's operators for test_step_counts.py.
//
//   count_probe step [SETTING...]                           one step of `train`
//   count_probe networks BATCH MICRO_BATCH CLIP TEACHER     the networks of such a step alone, forward and backward
//
// A SETTING is a key=value of a training configuration; the pairs are the shapes world's. Prints
// {"NAME": count}. Only the thread that trains is counted, because what a worker thread prepares ahead does
// not delay the device. An operator inside of `_foreach_*`, `_fused_*` or `_amp_*` is not counted: on a CPU
// these are loops, but a single kernel on a GPU.
#include <ATen/record_function.h>
#include <torch/script.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "probe_main.h"
#include "sdsclip/base/error.h"
#include "sdsclip/models/bundle.h"
#include "sdsclip/models/clip_model.h"
#include "sdsclip/models/text_length.h"
#include "sdsclip/models/trainable.h"
#include "sdsclip/training/config.h"
#include "torchscript.h"
#include "training/small_runs.h"

namespace {

using nlohmann::ordered_json;
using namespace sdsclip;
using Counts = std::map<std::string, std::int64_t>;

constexpr std::int64_t kShortRun = 3;
constexpr std::int64_t kLongRun = 7;

/// What the callbacks below add to; LibTorch takes plain functions.
Counts counts;                        // NOLINT
std::thread::id counted;              // NOLINT
thread_local std::int64_t depth = 0;  // NOLINT of operators that are one kernel on a GPU

bool is_one_kernel(std::string_view name) {
  return name.starts_with("aten::_foreach_") || name.starts_with("aten::_fused_") ||
         name.starts_with("aten::_amp_");
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  const bool is_ours = name.starts_with("sdsclip::");
  if (depth == 0 && std::this_thread::get_id() == counted && (is_ours || name.starts_with("aten::")))
    ++counts[std::string(name)];
  if (is_one_kernel(name)) ++depth;
  return nullptr;
}

void leave(const at::RecordFunction& function, at::ObserverContext*) {
  if (is_one_kernel(function.name())) --depth;
}

Counts count(const std::function<void()>& work) {
  counts.clear();
  counted = std::this_thread::get_id();
  const at::CallbackHandle handle =
      at::addGlobalCallback(at::RecordFunctionCallback(enter, leave)
                                .scopes({at::RecordScope::FUNCTION, at::RecordScope::USER_SCOPE}));
  work();
  at::removeCallback(handle);
  return counts;
}

/// What a longer run has more than a shorter one, per step: without start, checkpoint and end. Rounded up.
ordered_json step(const std::vector<std::string>& arguments) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::kMap;
  for (std::size_t i = 1; i < arguments.size(); ++i) apply_setting(root, arguments[i]);
  TrainConfig config;
  bind_options(root, config);
  const testing::SmallWorld world(/*train=*/64, /*winoground=*/1);
  config.data.annotations = (world.path / "coco/annotations/captions_train2017.json").string();
  config.data.images = (world.path / "coco/train2017").string();
  config.train.checkpoint_every = 0;
  config.train.diagnose_every = 0;
  const testing::TemporaryFolder folder;
  const auto run_of = [&](std::int64_t steps) {
    config.train.steps = steps;
    return count([&] { train(config, testing::run_in(folder / std::to_string(steps))); });
  };
  run_of(1);  // what only a process's first step does
  Counts less = run_of(kShortRun);
  ordered_json result = ordered_json::object();
  for (const auto& [name, more] : run_of(kLongRun)) {
    const std::int64_t steps = kLongRun - kShortRun;
    const std::int64_t per_step = (more - less[name] + steps - 1) / steps;
    if (per_step > 0) result[name] = per_step;
  }
  return result;
}

ordered_json networks(const std::vector<std::string>& arguments) {
  const std::int64_t batch = std::stoll(arguments.at(1));
  const std::int64_t micro_batch = std::stoll(arguments.at(2));
  const Bundle clip_bundle = read_bundle(arguments.at(3), BundleKind::kClip);
  const Bundle teacher = read_bundle(arguments.at(4), BundleKind::kTeacher);
  const ClipModel clip(clip_bundle, {});
  const torch::jit::Module& towers = clip.module();
  for (const NamedTensor& norm : select_trainable(clip, Tune::kLayerNorm, false))
    at::Tensor(norm.second).set_requires_grad(true);
  torch::jit::Module unet = load_archive(teacher, "unet.ts", {});
  torch::jit::Module text_encoder = load_archive(teacher, "text_encoder.ts", {});

  const std::int64_t size = clip_bundle.image.size;
  const BundleLatent& latent = teacher.latent;
  const at::Tensor pixels = at::rand({batch, 3, size, size});
  const at::Tensor ids = longest_texts(batch, clip_bundle.tokenizer);
  const at::Tensor prompts = longest_texts(micro_batch, teacher.tokenizer);
  const at::Tensor z =
      at::rand({micro_batch, latent.channels, latent.size, latent.size}).set_requires_grad(true);
  const at::Tensor timesteps = at::zeros({micro_batch}, at::kLong);
  const at::Tensor slope = at::ones({batch, clip_bundle.embed_dim});
  const at::Tensor z_slope = at::ones_like(z);
  const auto backward = [](const at::Tensor& output, const at::Tensor& gradient) {
    output.backward(gradient);
  };
  const auto work = [&] {
    for (std::int64_t first = 0; first < batch; first += micro_batch) {
      c10::IValue context;
      {
        const at::NoGradGuard no_grad;
        context = text_encoder.get_method("forward")({prompts});
      }
      backward(unet.get_method("forward")({z, timesteps, context}).toTensor(), z_slope);
    }
    backward(towers.get_method("encode_image")({pixels}).toTensor(), slope);
    backward(towers.get_method("encode_text")({ids}).toTensor(), slope);
    for (const NamedTensor& norm : clip.parameters()) at::Tensor(norm.second).mutable_grad() = at::Tensor();
    at::Tensor(z).mutable_grad() = at::Tensor();
  };
  work();  // the executor's own work at the first call
  return count(work);
}

ordered_json run(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == "step") return step(arguments);
  if (arguments.size() == 5 && arguments[0] == "networks") return networks(arguments);
  throw usage_error("count_probe: expected step or networks and their arguments");
}

}  // namespace

int main(int count, char** arguments) {
  return sdsclip::testing::probe_main(count, arguments, run);
}

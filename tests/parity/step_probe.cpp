// Drives the training step for test_step.py and test_step_speed.py.
//
//   step_probe gradients DEVICE INPUTS OUT [SETTING...]            one step's losses, draws and gradients
//   step_probe measure DEVICE INPUTS WARM_UP STEPS [SETTING...]    time of optimizer steps, peak memory
//   step_probe profile DEVICE INPUTS WARM_UP TRACE [SETTING...]    operators and kernels of one optimizer step
//
// Time is processor time on one thread, or wall-clock time if the device is a GPU.
// A SETTING is a key=value of a training configuration, `clip` and `teacher` among them. INPUTS is a
// safetensors file:
//
//   pixels, teacher_pixels                      u8[B, size, size, 3]
//   text_ids, hard_negative_ids, candidate_ids  i64[B, L], [K, L], [M, L], CLIP's
//   teacher_ids                                 i64[B, L']
//   rank.images, rank.texts, rank.distances     `RankBatch`
//   NAME                                        start value of the trained tensor NAME
//
// All but `pixels` and `text_ids` may be left out. OUT holds `loss.TERM`, `draw.timesteps`, `draw.noise` and
// `gradient.NAME`; the rest is printed as one JSON object. TRACE is a Chrome trace of PyTorch's profiler.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "probe_main.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/memory.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/lora.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/models/trainable.h"
#include "sdsclip/training/config.h"
#include "sdsclip/training/optimizer.h"
#include "sdsclip/training/run_log.h"
#include "sdsclip/training/step.h"
#include "sdsclip/training/trainer.h"

namespace {

using nlohmann::ordered_json;
using namespace sdsclip;

constexpr std::int64_t kStep = 2;  // any step but the first, which a forgotten key would look like

TrainConfig config_from(const std::vector<std::string>& settings) {
  ConfigNode root;
  root.kind = ConfigNode::Kind::kMap;
  for (const std::string& setting : settings) apply_setting(root, setting);
  TrainConfig config;
  bind_options(root, config);
  return config;
}

/// The tensors of INPUTS by name; one that the file leaves out is undefined.
struct Inputs {
  explicit Inputs(const std::string& path) {
    for (const auto& [name, tensor] : read_safetensors(path).tensors) tensors.emplace(name, tensor);
  }

  [[nodiscard]] at::Tensor find(const std::string& name) const {
    const auto found = tensors.find(name);
    return found == tensors.end() ? at::Tensor() : found->second;
  }

  std::map<std::string, at::Tensor> tensors;
};

/// u8[B, size, size, 3] as the loader hands images over; of an undefined tensor, none.
PixelStore store_of(const at::Tensor& images) {
  if (!images.defined()) return {};
  PixelStore store(static_cast<std::size_t>(images[0].numel()));
  store.append({images.data_ptr<std::uint8_t>(), static_cast<std::size_t>(images.numel())});
  return store;
}

/// The batch of INPUTS, and the images that it points to.
struct OwnedBatch {
  explicit OwnedBatch(const Inputs& inputs)
      : pixels(store_of(inputs.find("pixels"))), teacher_pixels(store_of(inputs.find("teacher_pixels"))) {
    batch.pixels = &pixels;
    batch.teacher_pixels = &teacher_pixels;
    batch.teacher_ids = inputs.find("teacher_ids");
    std::vector<at::Tensor> texts = {inputs.find("text_ids")};
    for (const char* name : {"hard_negative_ids", "candidate_ids"}) {
      if (inputs.find(name).defined()) texts.push_back(inputs.find(name));
    }
    batch.text_ids = at::cat(texts);
    const at::Tensor negatives = inputs.find("hard_negative_ids");
    if (negatives.defined()) batch.hard_negatives = negatives.size(0);
    if (inputs.find("rank.images").defined()) {
      batch.rank =
          RankBatch{inputs.find("rank.images"), inputs.find("rank.texts"), inputs.find("rank.distances")};
    }
  }
  OwnedBatch(const OwnedBatch&) = delete;
  OwnedBatch& operator=(const OwnedBatch&) = delete;

  PixelStore pixels;
  PixelStore teacher_pixels;
  StepBatch batch;
};

/// Sets up the models and the trained parameters of a configuration like `train`, with the given start
/// values.
struct Setup {
  Setup(const TrainConfig& config, const Inputs& inputs, const std::string& device)
      : placement(prepare_compute({.device = device,
                                   .precision = config.train.precision,
                                   .deterministic = config.train.deterministic,
                                   .threads = 1})),
        clip(read_bundle(config.clip, BundleKind::kClip), placement),
        trained(select_trainable(clip, config.train.tune, config.train.tune_temperature,
                                 trains_logit_bias(config))) {
    const std::uint64_t seed = static_cast<std::uint64_t>(config.seed);
    if (config.train.tune == Tune::kLora) {
      lora = add_lora(clip, config.train.lora, seed);
      for (const NamedTensor& tensor : lora_parameters(lora)) trained.push_back(tensor);
    }
    if (uses_teacher(config)) add_teacher(config, seed, inputs.find("pixels").size(0));
    const at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : trained) {
      if (inputs.find(name).defined()) at::Tensor(tensor).copy_(inputs.find(name));
    }
    merge_lora(lora);
  }

  void add_teacher(const TrainConfig& config, std::uint64_t seed, std::int64_t images) {
    const Bundle bundle = read_bundle(config.teacher, BundleKind::kTeacher);
    const std::int64_t embed_dim = clip.bundle().embed_dim;
    teacher.emplace(bundle,
                    TeacherParts{.vae_encoder = config.feature.weight > 0, .compiled = config.train.compiled},
                    placement);
    if (config.sds.lambda > 0) {
      const std::int64_t micro = config.train.micro_batch_unet;
      teacher->use_compiled(TeacherGraph::kStep, micro > 0 ? micro : images * config.sds.samples);
      latent_map = make_latent_map(embed_dim, bundle.latent, seed, placement.device);
      add_map("sds", *latent_map);
    }
    if (config.feature.weight > 0) {
      feature_map = make_feature_map(config.feature, bundle, embed_dim, seed, placement.device);
      add_map("feature", *feature_map);
    }
  }

  void add_map(const std::string& section, const LinearMap& map) {
    trained.emplace_back(section + ".h_w.weight", map.weight);
    trained.emplace_back(section + ".h_w.bias", map.bias);
  }

  [[nodiscard]] StepModels models() {
    return {.clip = &clip,
            .teacher = teacher ? &*teacher : nullptr,
            .latent_map = latent_map ? &*latent_map : nullptr,
            .feature_map = feature_map ? &*feature_map : nullptr};
  }

  Placement placement;
  ClipModel clip;
  std::vector<NamedTensor> trained;
  std::vector<LoraAdapter> lora;
  std::optional<DiffusionTeacher> teacher;
  std::optional<LinearMap> latent_map;
  std::optional<LinearMap> feature_map;
};

/// Without the look at shuffled captions, which changes no gradient.
StepOptions probed_step(const TrainConfig& config, std::int64_t step) {
  StepOptions options = step_options(config, step);
  options.diagnose = false;
  return options;
}

void add_losses(const StepResult& result, std::vector<NamedTensor>& outputs) {
  const auto add = [&outputs](const char* name, double loss) {
    outputs.emplace_back(name, at::full({}, loss, at::kDouble));
  };
  add("loss.total", result.total);
  if (result.contrastive) add("loss.contrastive", result.contrastive->loss);
  if (result.sds) add("loss.sds", result.sds->loss);
  if (result.feature) add("loss.feature", result.feature->loss);
  if (result.rank) add("loss.rank", result.rank->loss);
}

/// Returns the step's draws, so that the Python side can use the same.
void add_draws(const TrainConfig& config, const Bundle& teacher, std::int64_t images,
               std::vector<NamedTensor>& outputs) {
  const std::uint64_t seed = static_cast<std::uint64_t>(config.seed);
  const SdsDraws draws =
      config.sds.lambda > 0
          ? draw_sds(config.sds, teacher, seed, kStep, images, 0, images * config.sds.samples, at::kCPU)
          : draw_feature(config.feature, teacher, seed, kStep, images, 0, images, at::kCPU);
  outputs.emplace_back("draw.timesteps", draws.timesteps);
  outputs.emplace_back("draw.noise", draws.noise);
}

ordered_json write_gradients(const std::vector<std::string>& arguments) {
  const TrainConfig config = config_from({arguments.begin() + 4, arguments.end()});
  const Inputs inputs(arguments[2]);
  Setup setup(config, inputs, arguments[1]);
  const OwnedBatch owned(inputs);
  std::vector<NamedTensor> outputs;
  add_losses(accumulate_gradients(setup.models(), owned.batch, probed_step(config, kStep)), outputs);
  project_lora_gradients(setup.lora);
  for (const auto& [name, tensor] : setup.trained) {
    if (tensor.grad().defined()) outputs.emplace_back("gradient." + name, tensor.grad());
  }
  if (setup.teacher) {
    add_draws(config, setup.teacher->bundle(), inputs.find("pixels").size(0), outputs);
  }
  write_safetensors(arguments[3], outputs);
  return {{"trained", element_count(setup.trained)}};
}

/// Seconds at which all that was asked of the device so far is done; only differences mean something.
double seconds_now(c10::Device device) {
  if (device.is_cpu()) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  at::accelerator::synchronizeDevice(device.index());
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The training loop without its loader, one optimizer step at a time.
struct Loop {
  Loop(const TrainConfig& wanted, const Inputs& inputs, const std::string& device)
      : config(wanted),
        setup(config, inputs, device),
        owned(inputs),
        optimizer(setup.trained, config.train) {}

  void run_step(std::int64_t step) {
    const std::unique_ptr<StepNumbers> numbers =
        queue_gradients(setup.models(), owned.batch, probed_step(config, step));
    project_lora_gradients(setup.lora);
    const at::Tensor norm = at::linalg_vector_norm(optimizer.gradient_norms());
    optimizer.step(1.0, numbers->losses.stack(), norm);
    merge_lora(setup.lora);
  }

  TrainConfig config;
  Setup setup;
  KeepFreedMemory keep_freed_memory;  // as in training
  OwnedBatch owned;
  Optimizer optimizer;
};

ordered_json measure(const std::vector<std::string>& arguments) {
  const TrainConfig config = config_from({arguments.begin() + 5, arguments.end()});
  Loop loop(config, Inputs(arguments[2]), arguments[1]);
  const c10::Device device = loop.setup.placement.device;
  const std::int64_t peak_before = peak_memory_bytes();
  const std::int64_t warm_up = std::stoll(arguments[3]);
  ordered_json seconds = ordered_json::array();
  for (std::int64_t step = 0; step < warm_up + std::stoll(arguments[4]); ++step) {
    const double start = seconds_now(device);
    loop.run_step(step);
    const double end = seconds_now(device);
    if (step >= warm_up) seconds.push_back(end - start);
  }
  return {{"seconds", seconds},
          {"peak_bytes_before", peak_before},
          {"peak_bytes", peak_memory_bytes()},
          {"peak_gpu_bytes", gpu_memory(device).peak}};
}

ordered_json profile(const std::vector<std::string>& arguments) {
  namespace profiler = torch::autograd::profiler;
  const TrainConfig config = config_from({arguments.begin() + 5, arguments.end()});
  Loop loop(config, Inputs(arguments[2]), arguments[1]);
  const c10::Device device = loop.setup.placement.device;
  const std::int64_t warm_up = std::stoll(arguments[3]);
  for (std::int64_t step = 0; step < warm_up; ++step) loop.run_step(step);
  std::set<profiler::ActivityType> activities = {profiler::ActivityType::CPU};
  if (device.is_cuda()) activities.insert(profiler::ActivityType::CUDA);
  const profiler::ProfilerConfig how(profiler::ProfilerState::KINETO);
  profiler::prepareProfiler(how, activities);
  seconds_now(device);  // the warm-up's kernels are done
  profiler::enableProfiler(how, activities);
  loop.run_step(warm_up);
  seconds_now(device);
  profiler::disableProfiler()->save(arguments[4]);
  return ordered_json::object();
}

ordered_json run(const std::vector<std::string>& arguments) {
  if (arguments.size() >= 4 && arguments[0] == "gradients") return write_gradients(arguments);
  if (arguments.size() >= 5 && arguments[0] == "measure") return measure(arguments);
  if (arguments.size() >= 5 && arguments[0] == "profile") return profile(arguments);
  throw usage_error("step_probe: expected gradients, measure or profile, and their arguments");
}

}  // namespace

int main(int count, char** arguments) {
  return sdsclip::testing::probe_main(count, arguments, run);
}

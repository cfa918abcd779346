#include "auto_micro_batch.h"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/memory.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/text_length.h"

namespace sdsclip {

/// The content of `OUT/auto.json`.
struct AutoChoices {
  std::int64_t micro_batch_clip = kAuto;
  std::int64_t micro_batch_unet = kAuto;
  std::string teacher_graph;
};

void visit_options(OptionVisitor& visitor, AutoChoices& choices) {
  visitor.count_or_auto("micro_batch_clip", choices.micro_batch_clip, "train.micro_batch_clip");
  visitor.count_or_auto("micro_batch_unet", choices.micro_batch_unet, "train.micro_batch_unet");
  visitor.option("teacher_graph", choices.teacher_graph, "compiled if train.compiled has found a package");
}

namespace {

constexpr double kShareOfFreeMemory = 0.8;
constexpr std::int64_t kTrialItems = 4;
constexpr const char* kChoicesFile = "auto.json";

AutoChoices read_choices(const fs::path& out) {
  const fs::path file = out / kChoicesFile;
  AutoChoices choices;
  if (is_there(file)) {
    bind_options(parse_json(read_file(file), file.string()), choices, DocumentRole::kInput);
  }
  return choices;
}

void write_choices(const AutoChoices& choices, const fs::path& out) {
  nlohmann::ordered_json document;
  const auto add = [&](const char* name, std::int64_t value) {
    if (value != kAuto) document[name] = value;
  };
  add("micro_batch_clip", choices.micro_batch_clip);
  add("micro_batch_unet", choices.micro_batch_unet);
  if (!choices.teacher_graph.empty()) document["teacher_graph"] = choices.teacher_graph;
  write_file_atomically(out / kChoicesFile, document.dump(2) + "\n");
}

/// The value of `key` in a file of `key: 123 kB` lines, in bytes.
std::optional<std::int64_t> kibibytes(const char* file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::int64_t number = 0;
    if (line.starts_with(key) && std::istringstream(line.substr(key.size())) >> number) return number * 1024;
  }
  return std::nullopt;
}

/// The only number in a file; nothing if there is no such file or it says `max`.
std::optional<std::int64_t> only_number(const char* file) {
  std::ifstream stream(file);
  std::int64_t value = 0;
  if (stream >> value) return value;
  return std::nullopt;
}

/// A batch of `count` grey images with the longest captions. A step's memory depends on shapes alone.
struct TrialBatch {
  TrialBatch(const StepModels& models, std::int64_t count) {
    const auto grey = [count](const Bundle& bundle) {
      const std::size_t elements = preprocess_options(bundle.image).element_count();
      PixelStore store(elements);
      store.append(std::vector<std::uint8_t>(static_cast<std::size_t>(count) * elements, 128));
      return store;
    };
    pixels = grey(models.clip->bundle());
    batch.pixels = &pixels;
    batch.text_ids = longest_texts(count, models.clip->bundle().tokenizer);
    if (models.teacher == nullptr) return;
    teacher_pixels = grey(models.teacher->bundle());
    batch.teacher_pixels = &teacher_pixels;
    batch.teacher_ids = longest_texts(count, models.teacher->bundle().tokenizer);
  }

  PixelStore pixels;
  PixelStore teacher_pixels;
  StepBatch batch;
};

/// The latents of the largest UNet micro-batch of a step, which `add_sds` cuts from blocks of whole images.
std::int64_t largest_unet_batch(const TrainConfig& config) {
  const std::int64_t items = config.train.batch_size * config.sds.samples;
  const std::int64_t micro = config.train.micro_batch_unet > 0 ? config.train.micro_batch_unet : items;
  const std::int64_t block = std::max<std::int64_t>(1, micro / config.sds.samples) * config.sds.samples;
  return std::min({items, micro, block});
}

void clear_gradients(const std::vector<NamedTensor>& trained) {
  for (const NamedTensor& tensor : trained) at::Tensor(tensor.second).mutable_grad() = at::Tensor();
}

}  // namespace

std::int64_t free_memory_bytes(c10::Device device) {
  if (!device.is_cpu()) {
    at::DeviceAllocator* const allocator = at::getDeviceAllocator(device.type());
    allocator->emptyCache();
    return static_cast<std::int64_t>(allocator->getMemoryInfo(device.index()).first);
  }
  ::malloc_trim(0);
  const std::optional<std::int64_t> available = kibibytes("/proc/meminfo", "MemAvailable:");
  if (!available) {
    throw usage_error(
        "train.micro_batch_clip, train.micro_batch_unet: got auto, but this system does not tell how much "
        "memory is free; give a number");
  }
  const std::optional<std::int64_t> limit = only_number("/sys/fs/cgroup/memory.max");
  const std::optional<std::int64_t> used = only_number("/sys/fs/cgroup/memory.current");
  return limit && used ? std::min(*available, *limit - *used) : *available;
}

std::int64_t extra_peak_bytes(c10::Device device, const std::function<void()>& work) {
  if (!device.is_cpu()) {
    at::getDeviceAllocator(device.type())->resetPeakStats(device.index());
    const std::int64_t before = gpu_memory(device).allocated;
    work();
    return gpu_memory(device).peak - before;
  }
  ::malloc_trim(0);  // memory freed by an earlier trial must not hide what this one takes
  const std::int64_t before = kibibytes("/proc/self/status", "VmRSS:").value_or(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // resets the peak
  work();
  return peak_memory_bytes() - before;
}

std::int64_t largest_micro_batch(const std::function<std::int64_t(std::int64_t items)>& bytes_of,
                                 std::int64_t most, std::int64_t budget) {
  const std::int64_t of_one = bytes_of(1);
  if (most == 1) return 1;
  const std::int64_t trial = std::min(most, kTrialItems);
  const std::int64_t slope = std::max<std::int64_t>(1, (bytes_of(trial) - of_one) / (trial - 1));
  const std::int64_t fitting = std::max<std::int64_t>(1, 1 + (budget - of_one) / slope);
  if (fitting >= most) return most;
  const std::int64_t parts = (most + fitting - 1) / fitting;
  return (most + parts - 1) / parts;
}

void settle_micro_batches(TrainOptions& options, const StepModels& models, const StepOptions& step,
                          const std::vector<NamedTensor>& trained, const fs::path& out) {
  if (options.micro_batch_clip != kAuto && options.micro_batch_unet != kAuto) return;
  AutoChoices choices = read_choices(out);
  const c10::Device device = models.clip->placement().device;
  // `warm_up` runs the teacher's losses alone, otherwise the contrastive loss alone.
  const auto bytes_of = [&](const StepModels& used, bool warm_up) {
    return [&, used, warm_up](std::int64_t items) {
      const TrialBatch trial(used, items);
      StepOptions trial_step = step;
      trial_step.micro_batch_clip = trial_step.micro_batch_unet = 0;
      trial_step.sds.samples = 1;
      trial_step.warm_up_map = warm_up;
      trial_step.contrastive_weight = 1;
      const std::int64_t bytes =
          extra_peak_bytes(device, [&] { accumulate_gradients(used, trial.batch, trial_step); });
      clear_gradients(trained);
      return bytes;
    };
  };
  const auto settle = [&](std::int64_t& option, std::int64_t& choice, const char* name, std::int64_t most,
                          const StepModels& used, bool warm_up) {
    if (option != kAuto) return;
    if (choice == kAuto) {
      bytes_of(used, warm_up)(1);  // the first call of all also pays for what stays
      const std::int64_t budget =
          static_cast<std::int64_t>(kShareOfFreeMemory * static_cast<double>(free_memory_bytes(device)));
      choice = largest_micro_batch(bytes_of(used, warm_up), most, budget);
      log_info("train.{}: auto is {} here ({} MiB free)", name, choice, budget >> 20);
    }
    option = choice;
  };
  settle(options.micro_batch_clip, choices.micro_batch_clip, "micro_batch_clip", options.batch_size,
         {.clip = models.clip}, /*warm_up=*/false);
  if (models.teacher != nullptr) {
    settle(options.micro_batch_unet, choices.micro_batch_unet, "micro_batch_unet",
           options.batch_size * step.sds.samples, models, /*warm_up=*/true);
  }
  choices.micro_batch_clip = options.micro_batch_clip;
  choices.micro_batch_unet = std::max<std::int64_t>(0, options.micro_batch_unet);
  write_choices(choices, out);
}

void settle_teacher_graph(const TrainConfig& config, DiffusionTeacher& teacher, bool continues,
                          const fs::path& out) {
  const CompiledUse use = config.train.compiled;
  if (use == CompiledUse::kOff || config.sds.lambda <= 0) return;
  if (config.sds.jacobian == SdsJacobian::kDropped) {
    if (use == CompiledUse::kRequire) {
      throw usage_error(
          "train.compiled: got require with sds.jacobian=dropped, which always uses TorchScript: "
          "it needs no backward pass; use auto or off");
    }
    return;
  }
  AutoChoices choices = read_choices(out);
  if (use == CompiledUse::kIfFitting && continues && choices.teacher_graph.empty()) return;
  teacher.use_compiled(TeacherGraph::kStep, largest_unet_batch(config));
  const bool is_compiled = teacher.runs_compiled(TeacherGraph::kStep, 1);
  if (!is_compiled && !choices.teacher_graph.empty()) {
    log_warning(
        "{}: the run began with a compiled UNet and continues with TorchScript's; the last bits may differ",
        out.string());
  }
  if (!is_compiled || !choices.teacher_graph.empty()) return;
  choices.teacher_graph = teacher.graph_name();
  write_choices(choices, out);
}

}  // namespace sdsclip

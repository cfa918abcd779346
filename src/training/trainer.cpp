#include "sdsclip/training/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/interrupt.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/progress.h"
#include "sdsclip/models/inputs.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/training/checkpoint.h"
#include "sdsclip/training/optimizer.h"
#include "sdsclip/training/run_log.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double kLargestLogitScale = 4.605170185988092;  // ln 100, as CLIP and open_clip

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Fails where `out` holds a run that this one must not touch; writes `config.yaml` where there is none.
void claim_folder(const TrainConfig& config, const TrainRun& run) {
  const std::string yaml = to_yaml(list_options(config));
  const fs::path file = run.out / "config.yaml";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    create_folder(run.out);
    write_file_atomically(file, yaml);
    return;
  }
  if (!run.resume) {
    throw usage_error("{}: holds a run already; go on with it by --resume, or choose another --out",
                      run.out.string());
  }
  if (read_file(file) != yaml) {
    throw usage_error(
        "{}: is the configuration of another run than this one; resume with the same --config and --set, "
        "or choose another --out",
        file.string());
  }
}

void append(std::vector<NamedTensor>& list, const std::vector<NamedTensor>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

/// Everything that a run holds while it trains.
struct Session {
  Session(const TrainConfig& config, const Placement& placement)
      : clip_bundle(read_bundle(config.clip, BundleKind::kClip)),
        clip(clip_bundle, placement),
        clip_tokenizer(load_tokenizer(clip_bundle)),
        trained(select_trainable(clip, config.train.tune, config.train.tune_temperature)),
        outcome(trained) {
    if (config.train.tune == Tune::kLora) {
      lora = add_lora(clip, config.train.lora, static_cast<std::uint64_t>(config.seed));
      append(trained, lora_parameters(lora));
      append(outcome, adapted_weights(lora));
    }
    if (!uses_teacher(config)) return;
    const Bundle bundle = read_bundle(config.teacher, BundleKind::kTeacher);
    check_sds_options(config.sds, bundle);
    if (!any_in_image_tower(outcome)) {
      throw usage_error(
          "train.tune: L_SDS reaches no trained parameter of CLIP's image tower; tune more, or set "
          "sds.lambda=0");
    }
    const TeacherParts parts = {.unet = true, .vae_encoder = false, .text_encoder = true};
    teacher.emplace(bundle, parts, placement);
    teacher_tokenizer.emplace(load_tokenizer(bundle));
    latent_map = make_latent_map(clip_bundle.embed_dim, bundle.latent,
                                 static_cast<std::uint64_t>(config.seed), placement.device);
    for (std::vector<NamedTensor>* list : {&trained, &outcome}) {
      list->emplace_back("sds.h_w.weight", latent_map->weight);
      list->emplace_back("sds.h_w.bias", latent_map->bias);
    }
  }

  [[nodiscard]] StepModels models() {
    return {&clip, teacher ? &*teacher : nullptr, latent_map ? &*latent_map : nullptr};
  }

  Bundle clip_bundle;
  ClipModel clip;
  ClipTokenizer clip_tokenizer;
  std::vector<NamedTensor> trained;  // what the optimizer changes and checkpoints hold
  std::vector<NamedTensor> outcome;  // as `tuned.safetensors` names it: low-rank updates merged
  std::vector<LoraAdapter> lora;     // empty unless `train.tune` is lora
  std::optional<DiffusionTeacher> teacher;
  std::optional<ClipTokenizer> teacher_tokenizer;
  std::optional<LatentMap> latent_map;
};

LoaderOptions loader_options(const TrainConfig& config, const Bundle& clip) {
  LoaderOptions options;
  options.batch_size = config.train.batch_size;
  options.workers = config.data.workers;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.on_bad_sample = config.data.on_bad_sample;
  options.max_bad = config.data.max_bad;
  options.preprocess = preprocess_options(clip.image);
  return options;
}

std::int64_t total_steps(const TrainOptions& options, std::int64_t batches_per_epoch) {
  if (options.steps > 0) return options.steps;
  return std::max<std::int64_t>(1, std::llround(options.epochs * static_cast<double>(batches_per_epoch)));
}

StepBatch step_batch(const Batch& batch, const Session& session) {
  const std::int64_t size = static_cast<std::int64_t>(batch.captions.size());
  StepBatch result;
  result.pixels = batch.pixels;
  result.text_ids = at::tensor(batch.token_ids, at::kLong).view({size, -1});
  if (session.teacher_tokenizer) result.teacher_ids = tokenize(*session.teacher_tokenizer, batch.captions);
  return result;
}

StepOptions step_options(const TrainConfig& config, std::int64_t step) {
  StepOptions options;
  options.contrastive_weight = config.contrastive.weight;
  options.sds = config.sds;
  options.micro_batch_clip = config.train.micro_batch_clip;
  options.micro_batch_unet = config.train.micro_batch_unet;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.step = step;
  options.warm_up_map = uses_teacher(config) && step < config.sds.warmup_steps;
  options.diagnose = config.train.diagnose_every > 0 && step % config.train.diagnose_every == 0;
  return options;
}

void check_finite(const StepResult& result, std::int64_t step, const fs::path& out) {
  if (std::isfinite(result.total)) return;
  throw runtime_failure(
      "step {}: the loss is {} (L_CLIP {}, L_SDS {}), expected a finite number; the last good "
      "checkpoint is kept in {}; try a lower train.lr or sds.lambda, or train.precision=fp32",
      step + 1, result.total, result.contrastive.value_or(0), result.sds.value_or(0),
      (out / "checkpoints").string());
}

std::vector<at::Tensor> copies_of(const std::vector<NamedTensor>& tensors) {
  std::vector<at::Tensor> copies;
  for (const NamedTensor& tensor : tensors) copies.push_back(tensor.second.detach().clone());
  return copies;
}

/// `tuned.safetensors`: what differs from the bundle, and h_w.
void write_tuned(const fs::path& file, const std::vector<NamedTensor>& outcome,
                 const std::vector<at::Tensor>& before, const TrainConfig& config, const Bundle& clip) {
  std::vector<NamedTensor> changed;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    const bool is_map = outcome[i].first.starts_with("sds.h_w.");
    if (is_map || !at::equal(outcome[i].second, before[i])) changed.push_back(outcome[i]);
  }
  write_safetensors(
      file, changed,
      {{"format", "pt"}, {"clip", clip.name}, {"clip_sha256", clip.sha256}, {"teacher", config.teacher}});
}

std::string progress_note(const StepResult& result) {
  std::string note = fmt::format("loss {:.4f}", result.total);
  if (result.contrastive && result.sds)
    note += fmt::format(" (CLIP {:.4f}, SDS {:.4f})", *result.contrastive, *result.sds);
  return note;
}

}  // namespace

TrainSummary train(const TrainConfig& config, const TrainRun& run) {
  check_train_config(config);
  const Clock::time_point start = Clock::now();
  const Placement placement = prepare_compute({run.device, config.train.precision, run.threads});
  Session session(config, placement);
  const std::unique_ptr<CaptionDataset> dataset =
      open_captions({config.data.format, config.data.annotations, config.data.images});
  claim_folder(config, run);

  const std::vector<at::Tensor> before = copies_of(session.outcome);
  Optimizer optimizer(session.trained, config.train);
  TrainingState state;
  if (run.resume) {
    state = load_newest_checkpoint(run.out, session.trained, optimizer).value_or(TrainingState{});
    merge_lora(session.lora);
    log_info("{}: going on after step {}", run.out.string(), state.step);
  }
  CaptionLoader loader(*dataset, session.clip_tokenizer, loader_options(config, session.clip_bundle),
                       state.position);
  const std::int64_t steps = total_steps(config.train, loader.batches_per_epoch());

  TrainSummary summary;
  summary.steps = steps;
  summary.trained_parameters = element_count(session.trained);
  log_info("{} pairs, {} steps of {}, {} trained numbers in {} tensors", dataset->size(), steps,
           config.train.batch_size, summary.trained_parameters, session.trained.size());
  RunLog log(run.out / "log.jsonl", state.step);
  Progress progress("train", steps, "steps", run.quiet, state.step);
  const auto save = [&] {
    save_checkpoint(run.out, state, session.trained, optimizer, config.train.keep_checkpoints);
  };

  double waited = 0;
  while (state.step < steps) {
    const Clock::time_point step_start = Clock::now();
    const Batch batch = loader.next();
    const double step_wait = loader.statistics().wait_seconds - waited;
    waited += step_wait;
    const StepResult result =
        accumulate_gradients(session.models(), step_batch(batch, session), step_options(config, state.step));
    check_finite(result, state.step, run.out);
    project_lora_gradients(session.lora);
    const double factor = learning_rate_factor(config.train, state.step, steps);
    StepTimes times;
    times.gradient_norm = optimizer.step(factor);
    merge_lora(session.lora);
    at::Tensor logit_scale = session.clip.logit_scale();
    if (logit_scale.requires_grad()) {
      const at::NoGradGuard no_grad;
      logit_scale.clamp_(0.0, kLargestLogitScale);
    }
    ++state.step;
    ++summary.steps_this_life;
    state.position = batch.next;
    summary.last = result;
    summary.image_encodings += config.train.batch_size;

    const double seconds = seconds_since(step_start);
    times.learning_rate = factor * config.train.lr;
    times.logit_scale = logit_scale.item<double>();
    times.images_per_second = static_cast<double>(config.train.batch_size) / seconds;
    times.wait_share = step_wait / seconds;
    times.peak_memory_bytes = peak_memory_bytes();
    log.write(state.step, result, times);
    progress.update(state.step, progress_note(result));
    const bool due = config.train.checkpoint_every > 0 && state.step % config.train.checkpoint_every == 0;
    if (due || state.step == steps || interrupt_requested()) save();
    if (state.step < steps) throw_if_interrupted();
  }

  write_tuned(run.out / "tuned.safetensors", session.outcome, before, config, session.clip_bundle);
  summary.bad_samples = loader.statistics().bad_samples;
  summary.seconds = seconds_since(start);
  summary.wait_share = waited / summary.seconds;
  if (session.teacher) summary.work = session.teacher->work();
  return summary;
}

}  // namespace sdsclip

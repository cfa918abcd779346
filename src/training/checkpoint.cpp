#include "sdsclip/training/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/options.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {

namespace {
constexpr std::int64_t kSchema = 1;
}

/// `state.json`, the last file of a checkpoint, with the digest of the tensors' file.
struct CheckpointDocument {
  std::int64_t schema = kSchema;
  TrainingState state;
  std::string tensors_sha256;
};

void visit_options(OptionVisitor& visitor, LoaderPosition& position) {
  visitor.option("epoch", position.epoch, "Epoch of the next batch.");
  visitor.option("step", position.step, "Batches of the epoch that were taken.");
  visitor.option("cursor", position.cursor, "Positions of the epoch's order that were used.");
  visitor.option("bad_samples", position.bad_samples, "Bad samples among them.");
}

void visit_options(OptionVisitor& visitor, LossScale& scale) {
  visitor.option("value", scale.value, "The fp16 loss-scale factor.");
  visitor.option("good_steps", scale.good_steps, "Steps in a row with finite gradients.");
}

void visit_options(OptionVisitor& visitor, CheckpointDocument& document) {
  TrainingState& state = document.state;
  visitor.option("schema", document.schema, "1");
  visitor.option("step", state.step, "Steps that are done.");
  visitor.section("position", state.position, "Position of the next batch.");
  visitor.section("loss_scale", state.loss_scale, "State of the fp16 loss scale.");
  visitor.option("evaluated_step", state.evaluated_step, "Step of the last evaluation.");
  visitor.option("best_step", state.best_step, "Step of the evaluation with the best value.");
  visitor.option("best_value", state.best_value, "Best value of the metric.");
  visitor.option("worse_in_a_row", state.worse_in_a_row, "Evaluations since the best one.");
  visitor.option("stopped", state.stopped, "Whether evaluate.patience ended the run.");
  visitor.option("tensors_sha256", document.tensors_sha256, "SHA-256 of tensors.safetensors.");
}

namespace {

constexpr const char* kFolder = "checkpoints";
constexpr const char* kTensors = "tensors.safetensors";
constexpr const char* kState = "state.json";
constexpr std::string_view kStepPrefix = "step-";

std::string to_json(const CheckpointDocument& document) {
  const TrainingState& state = document.state;
  const LoaderPosition& position = state.position;
  const nlohmann::ordered_json json = {
      {"schema", document.schema},
      {"step", state.step},
      {"position",
       {{"epoch", position.epoch},
        {"step", position.step},
        {"cursor", position.cursor},
        {"bad_samples", position.bad_samples}}},
      {"loss_scale", {{"value", state.loss_scale.value}, {"good_steps", state.loss_scale.good_steps}}},
      {"evaluated_step", state.evaluated_step},
      {"best_step", state.best_step},
      {"best_value", state.best_value},
      {"worse_in_a_row", state.worse_in_a_row},
      {"stopped", state.stopped},
      {"tensors_sha256", document.tensors_sha256}};
  return json.dump(2) + "\n";
}

/// The checkpoints of a run, newest first. Half-written ones have other names and are not listed.
std::vector<std::pair<std::int64_t, fs::path>> list_checkpoints(const fs::path& out) {
  std::vector<std::pair<std::int64_t, fs::path>> list;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(out / kFolder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStepPrefix)) continue;
    const std::string digits = name.substr(kStepPrefix.size());
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos)
      continue;
    list.emplace_back(std::stoll(digits), entry.path());
  }
  std::sort(list.rbegin(), list.rend());
  return list;
}

/// Throws `Error(kInput)` if a value in `state.json` is impossible in this run; `where` is the file.
void check_document(const CheckpointDocument& document, std::int64_t step, const CheckpointLimits& limits,
                    const std::string& where) {
  const auto require = [&](bool good, const char* key, auto got, const std::string& expected) {
    if (!good) throw input_error("{}: {}: got {}, expected {}", where, key, got, expected);
  };
  const TrainingState& state = document.state;
  const LoaderPosition& position = state.position;
  require(document.schema == kSchema, "schema", document.schema, fmt::format("{}", kSchema));
  require(state.step == step, "step", state.step, fmt::format("{}, as the folder's name", step));
  require(step <= limits.total_steps, "step", step, fmt::format("at most the run's {}", limits.total_steps));
  // Every epoch has the same number of batches, even if bad samples were replaced.
  const std::int64_t epoch = step / limits.batches_per_epoch;
  const std::int64_t epoch_step = step % limits.batches_per_epoch;
  require(position.epoch == epoch, "position.epoch", position.epoch,
          fmt::format("{}, after {} steps with {} per epoch", epoch, step, limits.batches_per_epoch));
  require(position.step == epoch_step, "position.step", position.step,
          fmt::format("{}, after {} steps with {} per epoch", epoch_step, step, limits.batches_per_epoch));
  const std::int64_t samples = limits.batches_per_epoch * limits.batch_size;
  require(position.bad_samples >= 0 && position.bad_samples <= samples + limits.batch_size,
          "position.bad_samples", position.bad_samples, "0 to the number of samples per epoch");
  const std::int64_t cursor = position.step * limits.batch_size + position.bad_samples;
  require(position.cursor == cursor, "position.cursor", position.cursor,
          fmt::format("{}: position.step batches of {} and the bad samples", cursor, limits.batch_size));
  require(is_possible(state.loss_scale, limits.precision, step), "loss_scale",
          fmt::format("{} after {} good steps", state.loss_scale.value, state.loss_scale.good_steps),
          "what this run's precision and steps can give");
}

/// The same of its evaluations.
void check_evaluations(const TrainingState& state, const std::string& where) {
  const auto require = [&](bool good, const char* key, auto got, const std::string& expected) {
    if (!good) throw input_error("{}: {}: got {}, expected {}", where, key, got, expected);
  };
  if (state.evaluated_step == -1) {
    require(state.best_step == -1, "best_step", state.best_step, "-1, without an evaluation");
    require(state.best_value == 0, "best_value", state.best_value, "0, without an evaluation");
    require(state.worse_in_a_row == 0, "worse_in_a_row", state.worse_in_a_row, "0, without an evaluation");
    require(!state.stopped, "stopped", state.stopped, "false, without an evaluation");
    return;
  }
  require(state.evaluated_step >= 1 && state.evaluated_step <= state.step, "evaluated_step",
          state.evaluated_step, fmt::format("-1 (none), or 1 to the {} steps that are done", state.step));
  require(state.best_step >= 1 && state.best_step <= state.evaluated_step, "best_step", state.best_step,
          fmt::format("1 to the evaluated step {}", state.evaluated_step));
  require(state.best_value >= 0 && state.best_value <= 1, "best_value", state.best_value, "a share, 0 to 1");
  const std::int64_t since = state.evaluated_step - state.best_step;
  require(state.worse_in_a_row <= since && (state.worse_in_a_row >= 1) == (since > 0) &&
              state.worse_in_a_row >= 0,
          "worse_in_a_row", state.worse_in_a_row,
          since > 0 ? fmt::format("1 to the {} steps since the best one", since) : "0 at the best one");
  require(!state.stopped || (state.evaluated_step == state.step && state.worse_in_a_row > 0), "stopped",
          state.stopped, "false, since the newest evaluation did not end the run");
}

CheckpointDocument read_document(const fs::path& json) {
  // Start from values that no checkpoint has, so that a missing key is detected.
  CheckpointDocument document{
      .schema = 0,
      .state = {.step = -1, .position = {-1, -1, -1, -1}, .loss_scale = {0, -1}, .evaluated_step = -2},
      .tensors_sha256 = {}};
  document.state.best_step = -2;
  document.state.worse_in_a_row = -1;
  bind_options(parse_json(read_file(json), json.string()), document, DocumentRole::kInput);
  return document;
}

struct LoadedCheckpoint {
  TrainingState state;
  std::vector<NamedTensor> tensors;
};

/// Throws `Error(kInput)` if any part of the checkpoint is damaged.
LoadedCheckpoint read_checkpoint(const fs::path& folder, std::int64_t step, const CheckpointLimits& limits) {
  const fs::path json = folder / kState;
  const CheckpointDocument document = read_document(json);
  check_document(document, step, limits, json.string());
  check_evaluations(document.state, json.string());
  const fs::path tensors = folder / kTensors;
  if (sha256_of_file(tensors) != document.tensors_sha256) {
    throw input_error("{}: its SHA-256 differs from the one in {}", tensors.string(), json.string());
  }
  return {document.state, read_safetensors(tensors).tensors};
}

/// Throws `Error(kInput)` unless these are all tensors of this run and its optimizer.
void check_tensors(const std::vector<NamedTensor>& tensors, const std::vector<NamedTensor>& trained,
                   const fs::path& file) {
  const std::map<std::string, at::Tensor> stored(tensors.begin(), tensors.end());
  std::set<std::string> known;
  for (const auto& [name, tensor] : trained) {
    for (const char* kind : {"", "exp_avg.", "exp_avg_sq.", "step."}) known.insert(kind + name);
    const auto found = stored.find(name);
    if (found == stored.end() || found->second.sizes() != tensor.sizes() ||
        found->second.scalar_type() != tensor.scalar_type()) {
      throw input_error("{}: has no tensor '{}' of this run's shape and kind", file.string(), name);
    }
    if (!at::isfinite(found->second).all().item<bool>()) {
      throw input_error("{}: tensor '{}' is not finite", file.string(), name);
    }
  }
  for (const NamedTensor& tensor : tensors) {
    if (!known.contains(tensor.first)) {
      throw input_error("{}: has a tensor '{}', which this run does not have", file.string(), tensor.first);
    }
  }
}

/// Restores everything, or nothing.
void restore(const LoadedCheckpoint& checkpoint, const std::vector<NamedTensor>& trained,
             Optimizer& optimizer, const fs::path& file) {
  check_tensors(checkpoint.tensors, trained, file);
  optimizer.restore(checkpoint.tensors, checkpoint.state.step);
  const at::NoGradGuard no_grad;
  const std::map<std::string, at::Tensor> stored(checkpoint.tensors.begin(), checkpoint.tensors.end());
  for (const auto& [name, tensor] : trained) at::Tensor(tensor).copy_(stored.at(name));
}

fs::path folder_of(const fs::path& out, std::int64_t step) {
  return out / kFolder / fmt::format("{}{}", kStepPrefix, step);
}

}  // namespace

void save_checkpoint(const fs::path& out, const TrainingState& state, const std::vector<NamedTensor>& trained,
                     const Optimizer& optimizer, std::int64_t keep) {
  std::vector<NamedTensor> tensors = trained;
  const std::vector<NamedTensor> moments = optimizer.state();
  tensors.insert(tensors.end(), moments.begin(), moments.end());
  check_finite_tensors(tensors);
  AtomicFolder folder(folder_of(out, state.step));
  write_safetensors(folder.path() / kTensors, tensors);
  CheckpointDocument document;
  document.state = state;
  document.tensors_sha256 = sha256_of_file(folder.path() / kTensors);
  write_file_atomically(folder.path() / kState, to_json(document));
  folder.commit();
  remove_old_checkpoints(out, state, keep);
}

void save_checkpoint_state(const fs::path& out, const TrainingState& state, std::int64_t keep) {
  const fs::path json = folder_of(out, state.step) / kState;
  CheckpointDocument document = read_document(json);
  document.state = state;
  write_file_atomically(json, to_json(document));
  remove_old_checkpoints(out, state, keep);
}

void remove_old_checkpoints(const fs::path& out, const TrainingState& state, std::int64_t keep) {
  const std::vector<std::pair<std::int64_t, fs::path>> list = list_checkpoints(out);
  for (std::size_t i = static_cast<std::size_t>(keep); i < list.size(); ++i) {
    if (list[i].first == state.best_step) continue;
    std::error_code ignored;
    fs::remove_all(list[i].second, ignored);
  }
}

std::optional<TrainingState> load_newest_checkpoint(const fs::path& out, const CheckpointLimits& limits,
                                                    const std::vector<NamedTensor>& trained,
                                                    Optimizer& optimizer) {
  std::string first_failure;
  const std::vector<std::pair<std::int64_t, fs::path>> list = list_checkpoints(out);
  for (const auto& [step, folder] : list) {
    try {
      const LoadedCheckpoint checkpoint = read_checkpoint(folder, step, limits);
      restore(checkpoint, trained, optimizer, folder / kTensors);
      return checkpoint.state;
    } catch (const Error& damage) {
      if (first_failure.empty()) first_failure = damage.what();
      log_warning("{}: cannot be used, so the checkpoint before it is tried ({})", folder.string(),
                  damage.what());
    }
  }
  if (list.empty()) return std::nullopt;
  throw input_error(
      "{}: none of its {} checkpoints can be used; the newest: {}; choose another --out, or remove the "
      "folder "
      "to begin again",
      (out / kFolder).string(), list.size(), first_failure);
}

}  // namespace sdsclip

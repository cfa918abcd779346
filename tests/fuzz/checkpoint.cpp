// `state.json` of a checkpoint. The target `safetensors` covers its tensors, whose digest is in the state.
#include "sdsclip/training/checkpoint.h"

#include <torch/script.h>

#include "fuzz.h"

using namespace sdsclip;

namespace {

struct Run {
  std::vector<NamedTensor> trained = {{"a.weight", torch::ones({2, 3})}};
  Optimizer optimizer{trained, {}};
};

}  // namespace

std::vector<std::string> fuzz_seeds() {
  const Run run;
  TrainingState state;
  state.step = 1;
  state.position = {.epoch = 0, .step = 1, .cursor = 4, .bad_samples = 0};
  save_checkpoint(fuzz::folder(), state, run.trained, run.optimizer, 1);
  return {fuzz::get(fuzz::folder() / "checkpoints/step-1/state.json")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Run run;
  return fuzz::read(data, size, [](std::string_view bytes) {
    static_cast<void>(fuzz::put("checkpoints/step-1/state.json", bytes));
    load_newest_checkpoint(fuzz::folder(), {.batch_size = 4, .batches_per_epoch = 10}, run.trained,
                           run.optimizer);
  });
}

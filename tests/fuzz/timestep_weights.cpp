#include "sdsclip/scoring/timestep_weights.h"

#include "fuzz.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  TimestepWeights weights;
  weights.train_timesteps = 1000;
  weights.weights = {0.5, 1.5, 1};
  write_timestep_weights(fuzz::folder() / "seed", weights);
  return {fuzz::get(fuzz::folder() / "seed")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view bytes) {
    const TimestepWeights weights = read_timestep_weights(fuzz::put("weights.json", bytes));
    static_cast<void>(weights.at(0));
    static_cast<void>(weights.at(weights.train_timesteps - 1));
  });
}

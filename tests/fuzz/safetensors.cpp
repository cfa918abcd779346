#include "sdsclip/models/safetensors.h"

#include <torch/script.h>

#include "fuzz.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {{"a", torch::ones({2, 3})},
                                                                   {"b", torch::zeros({0, 4})},
                                                                   {"c", torch::tensor(true)},
                                                                   {"d", torch::arange(3)}};
  write_safetensors(fuzz::folder() / "seed", tensors, {{"format", "pt"}});
  return {fuzz::get(fuzz::folder() / "seed")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view bytes) {
    for (const auto& [name, tensor] : read_safetensors(fuzz::put("x.safetensors", bytes)).tensors) {
      static_cast<void>(tensor.sum());  // every byte is there
    }
  });
}

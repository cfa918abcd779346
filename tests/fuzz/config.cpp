#include "sdsclip/training/config.h"

#include "fuzz.h"
#include "sdsclip/base/options.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {to_yaml(list_options(TrainConfig{})), "sds: {lambda: 1e-3}\ntrain: {steps: 10, tune: lora}\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view text) {
    TrainConfig config;
    bind_options(parse_yaml(text, "f.yaml"), config);
    check_train_config(config);
    // A resumed run reads the configuration that a run wrote.
    TrainConfig again;
    bind_options(parse_yaml(to_yaml(list_options(config)), "config.yaml"), again);
    if (to_yaml(list_options(again)) != to_yaml(list_options(config))) std::abort();
  });
}

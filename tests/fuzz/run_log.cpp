#include "sdsclip/training/run_log.h"

#include <nlohmann/json.hpp>

#include "fuzz.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  const std::vector<Metric> metrics = {
      {.name = "winoground/text", .value = 0.5, .n = 3, .ci95 = {.low = 0.1, .high = 0.9}, .ties = 0}};
  StepResult result;
  result.total = 2.5;
  result.contrastive = StepTerm{.loss = 2.5};
  return {step_line(1, result, {}).dump() + "\n" + step_line(2, result, {}).dump() + "\n",
          evaluation_line(1, metrics).dump() + "\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read(data, size, [](std::string_view bytes) { read_last_losses(fuzz::put("log.jsonl", bytes)); });
  fuzz::read(data, size, [](std::string_view bytes) { read_last_evaluation(fuzz::put("log.jsonl", bytes)); });
  return fuzz::read(data, size, [](std::string_view bytes) { RunLog(fuzz::put("log.jsonl", bytes), 1); });
}

#include "sdsclip/reporting/result.h"

#include "fuzz.h"
#include "sdsclip/reporting/table.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  RunResult result;
  result.command = "eval";
  result.benchmark = "winoground";
  result.model = {.name = "ViT-B-16", .sha256 = "00"};
  result.settings = {{"seed", 0}, {"data", "data/winoground"}};
  result.versions = {{"sdsclip", "0.1.0"}};
  result.metrics = {
      {.name = "winoground/text", .value = 0.31, .n = 400, .ci95 = {.low = 0.27, .high = 0.36}, .ties = 2}};
  write_result(fuzz::folder() / "seed.json", result);
  return {fuzz::get(fuzz::folder() / "seed.json")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view bytes) {
    const RunResult result = read_result(fuzz::put("result.json", bytes));
    const std::string shown = format_terminal(metric_table(result.metrics));
    if (shown.find('\x1b') != std::string::npos) std::abort();
    to_json(result);
  });
}

#include "fuzz.h"
#include "sdsclip/reporting/report.h"

using namespace sdsclip;

std::vector<std::string> fuzz_seeds() {
  return {
      "{\"step\": 1, \"loss\": {\"total\": 2.5, \"sds\": 1}, \"lr\": 5e-5}\n"
      "{\"step\": 2, \"loss\": {\"total\": 2.25, \"sds\": null}}\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::read(data, size, [](std::string_view bytes) {
    html_report(read_runs(fuzz::put("run/log.jsonl", bytes).parent_path()));
  });
}

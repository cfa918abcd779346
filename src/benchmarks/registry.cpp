#include "registry.h"

#include <array>
#include <string>
#include <vector>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"

namespace sdsclip {

std::span<const Benchmark> all_benchmarks() {
  static const std::array kBenchmarks = {winoground(), aro(),       clevr(),   sugarcrepe(),
                                         mmvp(),       retrieval(), zeroshot()};
  return kBenchmarks;
}

const Benchmark& find_benchmark(std::string_view name) {
  const std::span<const Benchmark> benchmarks = all_benchmarks();
  for (const Benchmark& benchmark : benchmarks) {
    if (benchmark.name == name) return benchmark;
  }
  std::vector<std::string> names;
  for (const Benchmark& benchmark : benchmarks) names.emplace_back(benchmark.name);
  throw usage_error("unknown benchmark '{}', expected one of {}{}", name, join(names, ", "),
                    did_you_mean(name, names));
}

}  // namespace sdsclip

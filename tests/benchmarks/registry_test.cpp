#include <gtest/gtest.h>

#include <set>

#include "sdsclip/benchmarks/benchmark.h"
#include "support/expect_error.h"

namespace sdsclip {
namespace {

TEST(Registry, FindsEveryBenchmarkByItsName) {
  std::set<std::string_view> names;
  for (const Benchmark& benchmark : all_benchmarks()) {
    EXPECT_EQ(&find_benchmark(benchmark.name), &benchmark);
    EXPECT_FALSE(benchmark.headline.empty());
    names.insert(benchmark.name);
  }
  EXPECT_EQ(names.size(), all_benchmarks().size());
}

TEST(Registry, NamesTheNearestBenchmark) {
  testing::expect_error(ExitCode::kUsage, {"winogroud", "'winoground'"}, [] { find_benchmark("winogroud"); });
}

}  // namespace
}  // namespace sdsclip

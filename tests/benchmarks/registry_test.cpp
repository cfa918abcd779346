#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

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

class DataSets : public ::testing::Test {
 protected:
  std::filesystem::path make(const std::string& file) {
    const std::filesystem::path path = folder_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "x";
    return path.parent_path();
  }

  testing::TemporaryFolder folder_;
};

TEST_F(DataSets, AreTheFolderItselfIfItIsOne) {
  const std::filesystem::path folder = make("zeroshot/classnames.txt");
  make("zeroshot/backup/classnames.txt");
  EXPECT_EQ(data_sets(find_benchmark("zeroshot"), folder), std::vector{folder});
}

TEST_F(DataSets, AreTheSubFoldersThatHoldOneInOrder) {
  const std::filesystem::path mnist = make("zeroshot/mnist/classnames.txt");
  const std::filesystem::path cifar = make("zeroshot/cifar10/classnames.txt");
  make("zeroshot/torchvision/readme.txt");
  EXPECT_EQ(data_sets(find_benchmark("zeroshot"), folder_ / "zeroshot"), (std::vector{cifar, mnist}));
  const std::filesystem::path flickr = make("retrieval/flickr30k/flickr30k_test.json");
  EXPECT_EQ(data_sets(find_benchmark("retrieval"), folder_ / "retrieval"), std::vector{flickr});
}

TEST_F(DataSets, AreNotSearchedInsideADataSet) {
  const std::filesystem::path folder = make("winoground/copy/examples.jsonl").parent_path();
  EXPECT_EQ(data_sets(find_benchmark("winoground"), folder), std::vector{folder});
  EXPECT_EQ(data_sets(find_benchmark("zeroshot"), folder_ / "nowhere"), std::vector{folder_ / "nowhere"});
}

}  // namespace
}  // namespace sdsclip

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/models/teacher.h"

namespace sdsclip {

/// The description `BUNDLE/compiled/NAME.json` of the package `NAME.pt2`. scripts/compile_teacher.py writes both.
struct CompiledPackage {
  fs::path file;  ///< the package
  std::string format;
  std::int64_t schema = 0;
  TeacherGraph graph = TeacherGraph::kStep;
  std::string sha256;       ///< of the package
  std::string unet_sha256;  ///< of the archive that holds the weights
  std::string libtorch;
  std::string device;
  std::string architecture;               ///< of a GPU: its compute capability
  std::vector<std::string> instructions;  ///< of a CPU: the instruction sets that the code uses
  Precision precision = Precision::kFp32;
  std::int64_t batch = 0;
  std::vector<double> latent;
  std::vector<double> context;
  std::vector<std::string> constants;  ///< `NAME=TENSOR`: the graph's constant and the archive's tensor
};

/// The package for this graph, LibTorch, placement and batch, or nothing. Logs one warning if the bundle has
/// packages and none fits; throws `Error(kUsage)` instead if `use` is `require`. Throws `Error(kInput)` if a
/// description cannot be read.
std::optional<CompiledPackage> find_package(const Bundle& bundle, const Placement& placement, CompiledUse use,
                                            TeacherGraph graph, std::int64_t batch);

/// Throws `Error(kInput)` if the package's file is not the one that its description names.
void verify_package(const CompiledPackage& package);

}  // namespace sdsclip

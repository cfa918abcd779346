#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "sdsclip/base/options.h"
#include "sdsclip/base/precision.h"

namespace sdsclip {

inline constexpr std::string_view kPrecisionText =
    "Arithmetic of the networks; losses and scores stay float32. bf16 needs half the memory, and less time "
    "on "
    "processors that compute in it. fp16 is meant for GPUs without bf16.";

/// Whether a run uses the teacher's compiled packages.
enum class CompiledUse { kIfFitting, kOff, kRequire };

inline constexpr std::array<std::string_view, 3> kCompiledNames = {"auto", "off", "require"};
inline constexpr std::string_view kCompiledText =
    "Compiled UNet of the teacher's bundle (scripts/compile_teacher.py): auto uses a package that fits, else "
    "TorchScript; off always uses TorchScript; require stops if no package fits. A package is machine code: "
    "choose off for a bundle whose compiled/ folder you do not trust.";
inline constexpr std::string_view kDeterministicText =
    "Whether a run on a GPU repeats bit by bit. false lets cuDNN and attention take their fastest kernels, "
    "whose sums change order from run to run. On a CPU the bits are the same either way.";

/// Where and how a run computes.
struct ComputeOptions {
  std::string device = "auto";
  Precision precision = Precision::kFp32;
  bool deterministic = true;
  std::int64_t threads = 0;
};

inline void visit_options(OptionVisitor& visitor, ComputeOptions& options) {
  visitor.option("device", options.device,
                 "Device of the networks: auto, cpu, cuda or cuda:N. auto takes a GPU if there is one.");
  visitor.choice("precision", options.precision, kPrecisionNames, kPrecisionText);
  visitor.count("threads", options.threads, {0, kMostThreads},
                "CPU threads of LibTorch; 0: one per core. Set it if several runs share a machine.");
}

}  // namespace sdsclip

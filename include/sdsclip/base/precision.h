#pragma once

#include <array>
#include <string>
#include <string_view>

namespace sdsclip {

/// The precision of the networks' arithmetic. Losses, trained parameters, gradients and the optimizer's state
/// are float32 in any case.
enum class Precision { kFp32, kBf16, kFp16 };

/// The names of `Precision` on the command line, in configurations and in stored runs.
inline constexpr std::array<std::string_view, 3> kPrecisionNames = {"fp32", "bf16", "fp16"};

inline std::string precision_name(Precision precision) {
  return std::string(kPrecisionNames[static_cast<std::size_t>(precision)]);
}

}  // namespace sdsclip

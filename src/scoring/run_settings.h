#pragma once

#include <string>

#include "sdsclip/models/device.h"

// The settings of a run's identity that say where it was computed.
namespace sdsclip {

inline std::string device_name(const Placement& placement) {
  return placement.device.is_cuda() ? "cuda" : "cpu";
}

inline std::string precision_name(const Placement& placement) {
  switch (placement.precision) {
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp16:
      return "fp16";
    case Precision::kFp32:
      break;
  }
  return "fp32";
}

}  // namespace sdsclip

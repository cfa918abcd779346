#pragma once

#include <string>

#include "sdsclip/models/device.h"

// The settings of a run's identity that say where it was computed.
namespace sdsclip {

inline std::string device_name(const Placement& placement) {
  return placement.device.is_cuda() ? "cuda" : "cpu";
}

}  // namespace sdsclip

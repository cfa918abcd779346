#pragma once

#include <exception>
#include <string>

#include "sdsclip/base/error.h"

namespace sdsclip {

/// Whether memory ran out. LibTorch says so by an exception of its own on a GPU, and in the text of another
/// on the CPU and in TorchScript.
bool is_out_of_memory(const std::exception& failure);

/// `action()`; where memory runs out in it, throws `Error(kRuntime)` with that message.
template <typename Action>
auto in_memory(const std::string& message, Action&& action) {
  try {
    return action();
  } catch (const std::exception& failure) {
    if (!is_out_of_memory(failure)) throw;
    throw runtime_failure("{}", message);
  }
}

}  // namespace sdsclip

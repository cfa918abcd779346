#include "sdsclip/models/out_of_memory.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

namespace sdsclip {

bool is_out_of_memory(const std::exception& failure) {
  if (dynamic_cast<const Error*>(&failure) != nullptr) return false;
  if (dynamic_cast<const std::bad_alloc*>(&failure) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&failure) != nullptr) return true;
  // The words of the allocators on a GPU and on the CPU, of cuBLAS and cuDNN, and of the standard library's
  // exception once TorchScript's interpreter has caught it.
  constexpr std::array<std::string_view, 4> kWords = {"out of memory", "can't allocate memory",
                                                      "ALLOC_FAILED", "std::bad_alloc"};
  const c10::Error* const own = dynamic_cast<const c10::Error*>(&failure);
  const std::string text = own != nullptr ? own->what_without_backtrace() : failure.what();
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view words) { return text.find(words) != std::string::npos; });
}

}  // namespace sdsclip

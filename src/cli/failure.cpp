#include "failure.h"

#include <c10/util/Exception.h>

#include <exception>
#include <string>
#include <string_view>
#include <system_error>

#include "sdsclip/base/filesystem.h"
#include "sdsclip/models/out_of_memory.h"

namespace sdsclip {
namespace {

/// The first line of LibTorch's message: the rest is a stack.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// What LibTorch says of a failed allocation, behind where in its code that was.
std::string allocation(const std::string& text) {
  constexpr std::string_view kCpu = "DefaultCPUAllocator: ";
  const std::size_t at = text.find(kCpu);
  return at == std::string::npos ? text : text.substr(at + kCpu.size());
}

}  // namespace

Error current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const fs::filesystem_error& error) {
    const bool full =
        error.code() == std::errc::no_space_on_device || error.code() == std::errc::file_too_large;
    return Error(full ? ExitCode::kRuntime : ExitCode::kInput, error.what());
  } catch (const std::exception& error) {
    const c10::Error* const own = dynamic_cast<const c10::Error*>(&error);
    const std::string text = first_line(own != nullptr ? own->what_without_backtrace() : error.what());
    if (is_out_of_memory(error)) {
      return runtime_failure("out of memory ({}); use smaller micro-batches or fewer workers",
                             allocation(text));
    }
    return own != nullptr ? runtime_failure("LibTorch failed: {}", text) : runtime_failure("{}", text);
  }
}

}  // namespace sdsclip

#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace sdsclip {

/// The process's exit status. Scripts that call `sdsclip` depend on these values.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 2,         ///< wrong usage or configuration
  kInput = 3,         ///< bad input: data, image, bundle, checkpoint
  kRuntime = 4,       ///< failed while running: non-finite loss, out of memory, disk full
  kInterrupted = 130  ///< SIGINT or SIGTERM; state was saved
};

/// A failure that the user sees. The message is one line that says what was got, what was expected, where
/// (file, line, key, record) and what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitCode exit_code, const std::string& message);
  [[nodiscard]] ExitCode exit_code() const noexcept { return exit_code_; }

 private:
  ExitCode exit_code_;
};

/// `throw usage_error("--samples: got {}, expected 1 or more", n);`
template <typename... Args>
[[nodiscard]] Error usage_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ExitCode::kUsage, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[nodiscard]] Error input_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ExitCode::kInput, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[nodiscard]] Error runtime_failure(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ExitCode::kRuntime, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sdsclip

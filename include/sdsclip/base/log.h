#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace sdsclip {

enum class LogLevel { kInfo, kWarning, kError };

/// Turns `log_info` off if `quiet`; warnings and errors always appear. The command line calls it once
/// (`--quiet`).
void set_up_logging(bool quiet);

/// Prints one line to stderr, through spdlog. Results go to stdout, never here.
void log_message(LogLevel level, std::string_view message);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sdsclip

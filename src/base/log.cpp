#include "sdsclip/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    std::shared_ptr<spdlog::logger> made = spdlog::stderr_color_mt("sdsclip");
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    return made;
  }();
  return *instance;
}

}  // namespace

void set_up_logging(bool quiet) {
  logger().set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

void log_message(LogLevel level, std::string_view message) {
  const std::string shown = terminal_text(message);
  const spdlog::string_view_t text(shown.data(), shown.size());
  switch (level) {
    case LogLevel::kInfo:
      logger().info(text);
      break;
    case LogLevel::kWarning:
      logger().warn(text);
      break;
    case LogLevel::kError:
      logger().error(text);
      break;
  }
}

}  // namespace sdsclip

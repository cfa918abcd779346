#include <cstdio>
#include <exception>
#include <string>

#include "failure.h"
#include "parse.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/interrupt.h"
#include "sdsclip/base/log.h"

namespace sdsclip {
namespace {

template <typename AnyCommand>
OnInterrupt on_interrupt(const AnyCommand&) {
  return AnyCommand::kSavesState ? OnInterrupt::kSaveState : OnInterrupt::kEnd;
}

int fail(ExitCode code, const std::string& message) {
  std::fflush(stdout);
  log_message(LogLevel::kError, message);
  return static_cast<int>(code);
}

}  // namespace
}  // namespace sdsclip

/// Runs a command line that `parse_command` accepts; returns the process's exit code.
extern "C" int sdsclip_run_command(int argc, const char* const* argv) {
  using namespace sdsclip;
  const ParsedCommand parsed = parse_command(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  set_up_logging(std::visit([](const CommandOptions& command) { return command.quiet; }, parsed.command));
  watch_for_interrupts(std::visit([](const auto& command) { return on_interrupt(command); }, parsed.command));
  try {
    std::visit([](const auto& command) { run(command); }, parsed.command);
    // The flush alone would not tell of a write that failed before it.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return fail(ExitCode::kRuntime, "cannot write to standard output");
    }
    return static_cast<int>(ExitCode::kDone);
  } catch (const std::exception&) {
    const Error failure = current_failure();
    return fail(failure.exit_code(), failure.what());
  }
}

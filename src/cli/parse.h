#pragma once

#include <optional>

#include "command_table.h"

namespace sdsclip {

/// A command line that was read. `--help` and `--version` print to stdout and wrong usage prints one line to
/// stderr; then `exit_code` is set (0 or 2) and there is nothing to run.
struct ParsedCommand {
  std::optional<int> exit_code;
  Command command;
};
ParsedCommand parse_command(int argc, const char* const* argv);

}  // namespace sdsclip

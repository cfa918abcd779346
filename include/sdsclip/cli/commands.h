#pragma once

#include <string>
#include <vector>

namespace sdsclip {

/// One argument of a command, as `--help` shows it.
struct ArgumentDescription {
  std::string name = {};                  ///< "--min-samples"; a positional argument has no dashes
  std::string short_name = {};            ///< "-0", or empty
  std::string kind = {};                  ///< "integer of 1 or more", "text", "flag"; a choice: "l2 | l1"
  std::vector<std::string> choices = {};  ///< the only values; empty: any of its kind
  std::string default_value = {};         ///< as it would be typed; empty: none
  std::string doc = {};                   ///< what it does, its unit, when to change it
  std::string needs = {};                 ///< the flag without which it has no meaning, or empty
  int values = 1;                         ///< 0: a flag
  bool is_positional = false;
  bool is_required = false;
  bool is_repeated = false;  ///< takes any number of values
  bool is_hidden = false;    ///< accepted, but not read by this command
};

struct CommandDescription {
  std::string name;  ///< "eval", "bundle verify"
  std::string summary;
  std::vector<ArgumentDescription> arguments;
};

/// Every command with all its arguments: the source of `--help`.
std::vector<CommandDescription> describe_commands();

}  // namespace sdsclip

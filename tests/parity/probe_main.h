#pragma once

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sdsclip/base/error.h"

namespace sdsclip::testing {

/// The `main` of a driver whose tasks answer in JSON: `run` gets the command line without the program's name;
/// its answer goes to stdout, an `Error` to stderr with its exit code.
inline int probe_main(int count, char** arguments,
                      nlohmann::ordered_json (*run)(const std::vector<std::string>& arguments)) {
  try {
    std::cout << run({arguments + 1, arguments + count}) << "\n";
    return 0;
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return static_cast<int>(error.exit_code());
  }
}

}  // namespace sdsclip::testing

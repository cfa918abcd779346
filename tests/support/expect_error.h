#pragma once

#include <gtest/gtest.h>

#include <string>

#include "sdsclip/base/error.h"

namespace sdsclip::testing {

/// Runs `action`, expects it to throw `Error` with that exit code and every one of `parts` in its message.
template <typename Action>
void expect_error(ExitCode code, std::initializer_list<std::string> parts, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.exit_code()), static_cast<int>(code)) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "no '" << part << "' in: " << error.what();
    }
    return;
  }
  ADD_FAILURE() << "expected an Error, nothing was thrown";
}

}  // namespace sdsclip::testing

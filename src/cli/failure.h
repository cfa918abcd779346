#pragma once

#include "sdsclip/base/error.h"

namespace sdsclip {

/// The exception that is being handled as the `Error` that a user sees: one line and an exit code, whatever
/// library it comes from. REQUIRES: called within a `catch`.
Error current_failure();

}  // namespace sdsclip

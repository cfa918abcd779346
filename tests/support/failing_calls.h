#pragma once

#include <cstdint>
#include <string>
#include <vector>

// A library that makes one file operation of a process fail, to test what the program does then. It is linked
// into a test, or loaded into the program by LD_PRELOAD; environment variables then replace `arm`:
//
//   SDSCLIP_FAIL_BELOW=DIR   counts only calls on files below DIR; required
//   SDSCLIP_FAIL_CALL=NAME   open, write, sync, rename, remove, mkdir or truncate; without it all are counted
//   SDSCLIP_FAIL_COUNT=N     the N-th of these calls fails, once; 0 or nothing: none does
//   SDSCLIP_FAIL_ERRNO=E     the number of its error; ENOSPC without it
//   SDSCLIP_FAIL_LOG=FILE    appends one line `NAME PATH` per counted call
namespace sdsclip::testing {

/// Which call fails; the fields are the variables above.
struct FailingCall {
  std::string below;
  std::string call;
  std::int64_t count = 0;
  int error = 28;  // ENOSPC
};

/// Starts counting from zero.
void arm(const FailingCall& failing);

/// Stops counting.
void disarm();

/// The calls counted since `arm`, each as `NAME PATH`.
std::vector<std::string> counted_calls();

}  // namespace sdsclip::testing

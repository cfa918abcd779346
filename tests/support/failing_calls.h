#pragma once

#include <cstdint>
#include <string>
#include <vector>

// A library that makes one of a process's file operations fail, to show what the program does then. Linked
// into a test, or loaded into the program by LD_PRELOAD, where environment variables take the place of
// `arm`:
//
//   SDSCLIP_FAIL_BELOW=DIR   counts calls on files below DIR alone; nothing is done without it
//   SDSCLIP_FAIL_CALL=NAME   open, write, sync, rename, remove, mkdir or truncate; without it all are counted
//   SDSCLIP_FAIL_COUNT=N     the N-th of these calls fails, once; 0 or nothing: none does
//   SDSCLIP_FAIL_ERRNO=E     the number of its error; ENOSPC without it
//   SDSCLIP_FAIL_LOG=FILE    appends a line `NAME PATH` for each call that is counted
namespace sdsclip::testing {

/// What is to fail; fields as the variables above.
struct FailingCall {
  std::string below;
  std::string call;
  std::int64_t count = 0;
  int error = 28;  // ENOSPC
};

/// Starts counting anew.
void arm(const FailingCall& failing);

/// Counts no more.
void disarm();

/// The calls counted since `arm`, each as `NAME PATH`.
std::vector<std::string> counted_calls();

}  // namespace sdsclip::testing

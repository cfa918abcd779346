#pragma once

namespace sdsclip {

/// What SIGINT and SIGTERM do from now on.
enum class OnInterrupt {
  kSaveState,  ///< set a flag, so that a loop can save its state and end with `ExitCode::kInterrupted`; a
               ///< second signal ends the process at once
  kEnd         ///< end the process at once with that exit code and one line; for commands without saved state
};

/// SIGXFSZ is ignored in both cases, so a write beyond the file-size limit fails with an error instead.
void watch_for_interrupts(OnInterrupt what);

/// Whether a signal has arrived. Loops ask once per step or unit.
bool interrupt_requested();

/// Throws `Error(kInterrupted)` that says how to continue, if a signal has arrived.
void throw_if_interrupted();

}  // namespace sdsclip

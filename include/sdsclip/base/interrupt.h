#pragma once

namespace sdsclip {

/// From now on SIGINT and SIGTERM set a flag instead of ending the process, so that a loop can save its state
/// and end with `ExitCode::kInterrupted`. A second signal ends the process at once. SIGXFSZ is ignored, so a
/// write beyond the file-size limit fails with an error instead.
void watch_for_interrupts();

/// Whether a signal has arrived. Loops ask once per step or unit.
bool interrupt_requested();

/// Throws `Error(kInterrupted)` that says how to continue, if a signal has arrived.
void throw_if_interrupted();

}  // namespace sdsclip

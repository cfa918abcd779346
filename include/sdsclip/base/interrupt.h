#pragma once

namespace sdsclip {

/// From now on SIGINT and SIGTERM set a flag instead of ending the process, so that a loop can save its state
/// and end with `ExitCode::kInterrupted`. A second signal ends the process at once. SIGXFSZ is ignored.
void watch_for_interrupts();

/// Whether a signal has come. Loops ask once a step or unit.
bool interrupt_requested();

/// Throws `Error(kInterrupted)` that says how to go on, if a signal has come.
void throw_if_interrupted();

}  // namespace sdsclip

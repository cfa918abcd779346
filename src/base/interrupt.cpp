#include "sdsclip/base/interrupt.h"

#include <csignal>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

// A signal handler can only reach a global variable.
volatile std::sig_atomic_t interrupt_flag = 0;

void on_signal(int signal_number) {
  interrupt_flag = 1;
  std::signal(signal_number, SIG_DFL);
}

}  // namespace

void watch_for_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  // A write beyond the file-size limit then fails like on a full disk, instead of ending the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupt_requested() {
  return interrupt_flag != 0;
}

void throw_if_interrupted() {
  if (interrupt_requested()) {
    throw Error(ExitCode::kInterrupted,
                "interrupted; the state is saved: run the same command with --resume to continue");
  }
}

}  // namespace sdsclip

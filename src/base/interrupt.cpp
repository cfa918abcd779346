#include "sdsclip/base/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <string_view>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

// A signal handler can only reach a global variable.
volatile std::sig_atomic_t interrupt_flag = 0;

void set_flag(int signal_number) {
  interrupt_flag = 1;
  std::signal(signal_number, SIG_DFL);
}

/// Files are written under temporary names first, so that none is left half written under its own.
void end_at_once(int) {
  constexpr std::string_view kLine =
      "sdsclip: interrupted; nothing was finished, run the same command again\n";
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, kLine.data(), kLine.size());
  ::_exit(static_cast<int>(ExitCode::kInterrupted));
}

}  // namespace

void watch_for_interrupts(OnInterrupt what) {
  for (const int number : {SIGINT, SIGTERM}) {
    std::signal(number, what == OnInterrupt::kSaveState ? set_flag : end_at_once);
  }
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

#include <array>
#include <cstdio>
#include <exception>
#include <string>

#include "commands.h"
#include "failure.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/interrupt.h"
#include "sdsclip/base/log.h"

namespace sdsclip {
namespace {

struct Runner {
  Command command;
  void (*run)(const Arguments& arguments);
};

constexpr std::array<Runner, 14> kRunners = {{
    {Command::kSynth, run_synth},
    {Command::kTrain, run_train},
    {Command::kSweep, run_sweep},
    {Command::kEval, run_eval},
    {Command::kDiffusionScore, run_diffusion_score},
    {Command::kDiffusionWeights, run_diffusion_weights},
    {Command::kExport, run_export},
    {Command::kReport, run_report},
    {Command::kCompare, run_compare},
    {Command::kBundle, run_bundle},
    {Command::kDataCheck, run_data_check},
    {Command::kTokenize, run_tokenize},
    {Command::kPreprocess, run_preprocess},
    {Command::kEmbed, run_embed},
}};

int fail(ExitCode code, const std::string& message) {
  std::fflush(stdout);
  log_error("{}", message);
  return static_cast<int>(code);
}

void run(const Arguments& arguments) {
  for (const Runner& runner : kRunners) {
    if (runner.command == arguments.command) return runner.run(arguments);
  }
  throw runtime_failure("this command has no runner");
}

}  // namespace
}  // namespace sdsclip

/// Runs a command line that `parse_arguments` accepts; returns the process's exit code.
extern "C" int sdsclip_run_command(int argc, const char* const* argv) {
  using namespace sdsclip;
  const ParsedArguments parsed = parse_arguments(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  set_up_logging(parsed.arguments.common.quiet);
  watch_for_interrupts();
  try {
    run(parsed.arguments);
    // The flush alone would not tell of a write that failed before it.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return fail(ExitCode::kRuntime, "cannot write to standard output");
    }
    return static_cast<int>(ExitCode::kDone);
  } catch (const std::exception&) {
    const Error failure = current_failure();
    return fail(failure.exit_code(), failure.what());
  }
}

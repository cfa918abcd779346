#include <dlfcn.h>

#include <cstdio>

#include "parse.h"
#include "sdsclip/base/error.h"

// The program that users start knows the command line and nothing else. LibTorch takes 0.3 s to load, so
// everything that needs it is in a library of its own, loaded once the command line is known to be right:
// --help, --version and wrong usage answer at once.
int main(int argc, char** argv) {
  const sdsclip::ParsedCommand parsed = sdsclip::parse_command(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;

  void* library = ::dlopen("libsdsclip_commands.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "sdsclip: cannot load its commands: %s; build or install it again\n", ::dlerror());
    return static_cast<int>(sdsclip::ExitCode::kRuntime);
  }
  using RunCommand = int (*)(int, const char* const*);
  const RunCommand run = reinterpret_cast<RunCommand>(::dlsym(library, "sdsclip_run_command"));
  if (run == nullptr) {
    std::fprintf(stderr, "sdsclip: its commands are of another version: %s; build or install it again\n",
                 ::dlerror());
    return static_cast<int>(sdsclip::ExitCode::kRuntime);
  }
  return run(argc, argv);
}

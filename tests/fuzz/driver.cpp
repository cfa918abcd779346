// Runs a fuzz target on every seed and every named file, then on inputs mutated from them for some seconds.
// The same seed makes the same inputs. A child process runs them, so that an input that ends it can be saved.
//
// usage: fuzz_NAME [--seconds N] [--seed N] [--most-seconds N] [--most-mib N] [FILE|FOLDER]...
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "fuzz.h"
#include "sdsclip/base/log.h"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // its shadow memory is terabytes; ASAN_OPTIONS limits the rest
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kLargestInput = std::size_t{1} << 20;

struct Options {
  double seconds = 0;
  std::uint64_t seed = 1;
  long most_seconds = kSanitized ? 40 : 10;  // of processor time, for one input
  long most_mib = 2048;                      // beyond the process's memory at its start
  std::vector<fs::path> inputs;
};

/// Shared by both processes: the current input.
struct Shared {
  std::size_t size = 0;
  std::uint64_t runs = 0;
  std::uint8_t bytes[kLargestInput];
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (!argument.starts_with("--")) {
      options.inputs.emplace_back(argument);
      continue;
    }
    if (argument == "--seconds")
      options.seconds = std::atof(value);
    else if (argument == "--seed")
      options.seed = std::strtoull(value, nullptr, 10);
    else if (argument == "--most-seconds")
      options.most_seconds = std::atol(value);
    else if (argument == "--most-mib")
      options.most_mib = std::atol(value);
    else {
      std::fprintf(stderr, "fuzz: got '%s', expected an option named at the top of driver.cpp\n", argv[i]);
      std::exit(2);
    }
    ++i;
  }
  return options;
}

std::vector<std::string> read_inputs(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    if (!fs::is_directory(path)) {
      if (fs::exists(path)) files.push_back(path);
      continue;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs;
  for (const fs::path& file : files) inputs.push_back(sdsclip::fuzz::get(file));
  return inputs;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> corpus, std::uint64_t seed) : corpus_(std::move(corpus)), random_(seed) {}

  std::string next() {
    std::string input = corpus_[below(corpus_.size())];
    for (std::size_t edits = 1 + below(below(4) == 0 ? 16 : 3); edits > 0; --edits) edit(input);
    if (input.size() > kLargestInput) input.resize(kLargestInput);
    return input;
  }

 private:
  std::size_t below(std::size_t count) { return count == 0 ? 0 : random_() % count; }

  void edit(std::string& input) {
    static const std::vector<std::string> kWords = {"9223372036854775807",
                                                    "9223372036854775808",
                                                    "-1",
                                                    "18446744073709551615",
                                                    "4294967296",
                                                    "2147483648",
                                                    "0",
                                                    "1e999",
                                                    "-0.0",
                                                    "1e-320",
                                                    ".inf",
                                                    ".nan",
                                                    "NaN",
                                                    "null",
                                                    "true",
                                                    "[]",
                                                    "{}",
                                                    "[[[[[[[[",
                                                    "\"\"",
                                                    "\"",
                                                    "{0..9}",
                                                    "{a,b}",
                                                    "::",
                                                    "\\",
                                                    "\\ud800",
                                                    "../",
                                                    "&amp;",
                                                    "&#x110000;",
                                                    "\xcc\x81",
                                                    "\xf0\x9f\x90\x88",
                                                    "\r\n",
                                                    "\n",
                                                    "\t",
                                                    ",",
                                                    std::string(1, '\0'),
                                                    std::string(8, '\xff'),
                                                    std::string(8, '\0'),
                                                    "\x7f\xff\xff\xff",
                                                    "*a",
                                                    "&a "};
    const std::size_t at = below(input.size() + 1);
    const std::size_t length = std::min(input.size() - at, 1 + below(below(3) == 0 ? 64 : 4));
    switch (below(9)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(random_());
        break;
      case 2:
        input.insert(at, 1, static_cast<char>(random_()));
        break;
      case 3:
        input.erase(at, length);
        break;
      case 4:
        input.insert(below(input.size() + 1), input.substr(at, length));
        break;
      case 5:
        input.replace(at, length, kWords[below(kWords.size())]);
        break;
      case 6:
        input.insert(at, kWords[below(kWords.size())]);
        break;
      case 7: {
        const std::string& other = corpus_[below(corpus_.size())];
        const std::size_t from = below(other.size() + 1);
        input.replace(at, input.size() - at, other, from, other.size() - from);
        break;
      }
      default:
        if (below(8) == 0) {
          input.resize(at);  // cut short
        } else {
          replace_number(input, at);
        }
    }
  }

  /// Replaces digits by another number, the most frequent cause of failures in text formats.
  void replace_number(std::string& input, std::size_t from) {
    constexpr const char* kDigits = "0123456789";
    const std::size_t start = input.find_first_of(kDigits, from);
    if (start == std::string::npos) return;
    const std::size_t end = std::min(input.find_first_not_of(kDigits, start), input.size());
    const std::uint64_t power = std::uint64_t{1} << below(64);
    const std::int64_t value = static_cast<std::int64_t>(power - below(2));
    input.replace(start, end - start, std::to_string(value));
  }

  std::vector<std::string> corpus_;
  std::mt19937_64 random_;
};

void limit_memory(long most_mib) {
  if (kSanitized) return;
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = static_cast<rlim_t>(pages) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) +
                       (static_cast<rlim_t>(most_mib) << 20);
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_AS, &limit);
}

void run(const std::string& input, long most_seconds, Shared& shared) {
  shared.size = std::min(input.size(), kLargestInput);
  std::memcpy(shared.bytes, input.data(), shared.size);
  const itimerval limit{{0, 0}, {most_seconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);  // its signal ends the process
  // The copy has exactly the input's size, so that a read beyond it is detected.
  const std::vector<std::uint8_t> bytes(shared.bytes, shared.bytes + shared.size);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  ++shared.runs;
}

void run_all(const Options& options, Shared& shared) {
  sdsclip::set_up_logging(true);
  spdlog::get("sdsclip")->set_level(spdlog::level::off);  // thousands of inputs are worth a warning
  limit_memory(options.most_mib);
  std::vector<std::string> corpus = fuzz_seeds();
  for (std::string& input : read_inputs(options.inputs)) corpus.push_back(std::move(input));
  for (const std::string& input : corpus) run(input, options.most_seconds, shared);
  Mutator mutator(corpus, options.seed);
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(options.seconds));
  while (Clock::now() < end) run(mutator.next(), options.most_seconds, shared);
}

std::string describe(int status, const Options& options) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF) {
    return "took more than " + std::to_string(options.most_seconds) + " s";
  }
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  // Readers that need a path get a file per input; a file system in memory makes this many times faster.
  if (fs::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 4;
  Shared& shared = *new (memory) Shared;
  const pid_t child = ::fork();
  if (child == 0) {
    run_all(options, shared);
    std::exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const std::string name = fs::path(argv[0]).filename().string();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    std::printf("%s: %llu inputs, seed %llu\n", name.c_str(), static_cast<unsigned long long>(shared.runs),
                static_cast<unsigned long long>(options.seed));
    return 0;
  }
  const std::string file = name + "." + std::to_string(shared.runs) + ".input";
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(shared.bytes), static_cast<std::streamsize>(shared.size));
  std::fprintf(stderr, "%s: input %llu %s; it is in %s\n", name.c_str(),
               static_cast<unsigned long long>(shared.runs), describe(status, options).c_str(), file.c_str());
  return 1;
}

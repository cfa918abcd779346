// Each file operation of a run fails once, as on a full or broken disk. The run must report it in one line
// with the right exit code, and --resume must end with the results of an undisturbed run. The commands run in
// this process, so that hundreds of them take seconds.

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/failing_calls.h"
#include "support/temporary_folder.h"

extern "C" int sdsclip_run_command(int argc, const char* const* argv);

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::arm;
using testing::counted_calls;
using testing::disarm;
using testing::TemporaryFolder;

using Words = std::vector<std::string>;

constexpr int kDone = 0;
constexpr int kBadInput = 3;
constexpr int kFailed = 4;

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// A command's exit code and its output on stderr.
struct Outcome {
  int code = 0;
  std::string errors;
};

/// While alive, redirects standard output and error to files.
class Redirected {
 public:
  Redirected(int stream, const fs::path& file) : stream_(stream), kept_(::dup(stream)) {
    const int target = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(target, stream);
    ::close(target);
  }
  ~Redirected() {
    ::dup2(kept_, stream_);
    ::close(kept_);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;

 private:
  int stream_;
  int kept_;
};

Outcome run(const Words& words, const fs::path& scratch) {
  std::vector<const char*> arguments = {"sdsclip"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  Outcome outcome;
  {
    std::fflush(stdout);
    const Redirected out(STDOUT_FILENO, scratch / "stdout");
    const Redirected err(STDERR_FILENO, scratch / "stderr");
    outcome.code = sdsclip_run_command(static_cast<int>(arguments.size()), arguments.data());
    std::fflush(stdout);
  }
  outcome.errors = text_of(scratch / "stderr");
  return outcome;
}

/// The values that two runs of the same settings share, without times and memory.
json results_of(const fs::path& out) {
  json results = json::parse(text_of(out / "result.json"));
  for (const char* key : {"seconds", "seconds_a_match", "work"}) results.erase(key);
  json all = {{"result", results}};
  std::ifstream log(out / "log.jsonl");
  for (std::string text; std::getline(log, text);) {
    json line = json::parse(text);
    for (const char* key : {"images_per_second", "wait_share", "peak_memory_bytes"}) line.erase(key);
    all["log"].push_back(line);
  }
  for (const char* name : {"tuned.safetensors", "best.safetensors", "evaluations.jsonl"}) {
    all[name] = std::hash<std::string>{}(text_of(out / name));
  }
  return all;
}

/// The names of a run's files without event files, because each start writes a new one.
std::set<std::string> files_of(const fs::path& out) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(out)) {
    const std::string name = fs::relative(entry.path(), out).string();
    if (entry.is_regular_file() && name.find("tfevents") == std::string::npos) names.insert(name);
  }
  return names;
}

class FailingFiles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    ASSERT_EQ(run({"synth", "--out", (*folder / "world").string(), "--train", "8"}, folder->path()).code,
              kDone);
  }
  static void TearDownTestSuite() {
    delete folder;
    folder = nullptr;
  }

  /// Fails each file operation of `command --out OUT` once, and resumes after each.
  void check_every_failure(Words command) {
    const fs::path place = *folder / "place";  // below which calls count
    const fs::path out = place / "run";
    for (const char* word : {"--threads", "1", "--device", "cpu", "--quiet", "--out"})
      command.push_back(word);
    command.push_back(out.string());
    Words resumed = command;
    resumed.push_back("--resume");

    fs::remove_all(place);  // of another test
    arm({.below = place.string(), .call = ""});
    ASSERT_EQ(run(command, folder->path()).code, kDone);
    disarm();
    const std::vector<std::string> calls = counted_calls();
    const json expected = results_of(out);
    const std::set<std::string> files = files_of(out);

    for (std::size_t i = 0; i < calls.size(); ++i) {
      SCOPED_TRACE("call " + std::to_string(i + 1) + " of " + std::to_string(calls.size()) + ": " + calls[i]);
      fs::remove_all(place);
      fs::create_directory(place);
      arm({.below = place.string(), .call = "", .count = static_cast<std::int64_t>(i + 1), .error = ENOSPC});
      const Outcome outcome = run(command, folder->path());
      disarm();
      check_outcome(outcome, calls[i]);
      const Outcome after = run(resumed, folder->path());
      ASSERT_EQ(after.code, kDone) << after.errors;
      ASSERT_EQ(results_of(out), expected);
      ASSERT_EQ(files_of(out), files);
    }
  }

  /// Whether a run may succeed although `call` failed: a failed removal and an unflushed folder lose nothing.
  /// Nor does the evaluation's own store after its marks were read, when SQLite writes its log back: the
  /// store is deleted next.
  static bool costs_nothing(const std::string& call) {
    const bool is_read_already = call.ends_with("/evaluation.tmp/scores.sqlite") &&
                                 (call.starts_with("write ") || call.starts_with("truncate "));
    return is_read_already || call.starts_with("remove ") || call.starts_with("open ") ||
           call.starts_with("sync ");
  }

  static void check_outcome(const Outcome& outcome, const std::string& call) {
    if (outcome.code == kDone) {
      EXPECT_TRUE(costs_nothing(call)) << call;
      return;
    }
    EXPECT_TRUE(outcome.code == kFailed || (outcome.code == kBadInput && call.starts_with("open ")))
        << outcome.code << ": " << outcome.errors;
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    EXPECT_NE(outcome.errors.find((*folder / "place").string()), std::string::npos) << outcome.errors;
  }

  static TemporaryFolder* folder;
};

TemporaryFolder* FailingFiles::folder = nullptr;

TEST_F(FailingFiles, OfATrainingRunLoseNoWork) {
  const fs::path world = *folder / "world";
  Words words = {"train", "--config", "quickstart.yaml"};
  for (const std::string& setting :
       {"data.annotations=" + (world / "coco/annotations/captions_train2017.json").string(),
        "data.images=" + (world / "coco/train2017").string(), std::string("train.steps=2"),
        std::string("train.batch_size=4"), std::string("train.checkpoint_every=1"),
        std::string("train.keep_checkpoints=1"), std::string("sds.lambda=0"),
        std::string("evaluate.benchmarks=[winoground]"), "evaluate.data=" + world.string(),
        std::string("evaluate.limit=2")}) {
    words.push_back("--set");
    words.push_back(setting);
  }
  check_every_failure(words);
}

TEST_F(FailingFiles, OfAnEvaluationLoseNothingStored) {
  check_every_failure({"eval", "winoground", "--data", (*folder / "world/winoground").string(), "--limit",
                       "3", "--batch", "3"});
}

TEST_F(FailingFiles, OfADiffusionScoreLoseNothingStored) {
  check_every_failure({"diffusion-score", "winoground", "--data", (*folder / "world/winoground").string(),
                       "--limit", "1", "--samples", "1", "--micro-batch", "4"});
}

}  // namespace
}  // namespace sdsclip

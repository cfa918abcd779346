#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sdsclip/data/synth.h"
#include "sdsclip/training/trainer.h"
#include "support/temporary_folder.h"

// Shared by the tests of whole training runs.
namespace sdsclip::testing {

/// A shapes world in a folder of its own, with so many training images and Winoground cases.
struct SmallWorld {
  SmallWorld(std::int64_t train, std::int64_t winoground) : path(folder / "world") {
    SynthOptions options;
    options.out = path;
    options.train = train;
    options.winoground = winoground;
    options.validation = options.cases = options.zeroshot = 1;
    write_shapes_world(options);
  }

  TemporaryFolder folder;
  std::filesystem::path path;
};

/// A quiet run on one thread of the CPU.
inline TrainRun run_in(const std::filesystem::path& out, bool resume = false) {
  TrainRun run;
  run.out = out;
  run.resume = resume;
  run.quiet = true;
  run.device = "cpu";
  run.threads = 1;
  return run;
}

/// The objects of a JSON Lines file.
inline std::vector<nlohmann::json> lines_of(const std::filesystem::path& file) {
  std::vector<nlohmann::json> lines;
  std::ifstream stream(file);
  for (std::string text; std::getline(stream, text);) lines.push_back(nlohmann::json::parse(text));
  return lines;
}

}  // namespace sdsclip::testing

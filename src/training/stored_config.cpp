#include "sdsclip/training/stored_config.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

// The sums are the same but in another order.
constexpr std::array<std::string_view, 3> kChangesLastBits = {"train.micro_batch_clip",
                                                              "train.micro_batch_unet", "train.compiled"};
constexpr std::array<std::string_view, 4> kChangesNoResult = {
    "data.workers", "train.checkpoint_every", "train.checkpoint_minutes", "train.keep_checkpoints"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct Difference {
  std::string path;
  std::string text;  // for the message
};

std::vector<Difference> differences(const TrainConfig& stored, const TrainConfig& config) {
  const std::vector<OptionDescription> before = list_options(stored);
  const std::vector<OptionDescription> now = list_options(config);
  std::vector<Difference> found;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (before[i].value == now[i].value) continue;
    found.push_back(
        {now[i].path, fmt::format("{} was {} and is {} now", now[i].path, before[i].value, now[i].value)});
  }
  return found;
}

}  // namespace

void write_config(const TrainConfig& config, const fs::path& file) {
  write_file_atomically(file, to_yaml(list_options(config)));
}

bool check_same_run(const fs::path& file, const TrainConfig& config) {
  TrainConfig stored;
  bind_options(parse_yaml(read_file(file), file.string(), DocumentRole::kInput), stored,
               DocumentRole::kInput);
  std::vector<std::string> identity;
  bool changed = false;
  for (const Difference& difference : differences(stored, config)) {
    if (contains(kChangesLastBits, difference.path)) {
      changed = true;
      log_info(
          "{}: {}; sums are rounded differently from here on, so the last bits may differ from an "
          "uninterrupted run's",
          file.string(), difference.text);
    } else if (contains(kChangesNoResult, difference.path)) {
      changed = true;
      log_info("{}: {}", file.string(), difference.text);
    } else {
      identity.push_back(difference.text);
    }
  }
  if (!identity.empty()) {
    throw usage_error(
        "{}: belongs to another run: {}; resume with the same --config and --set, or choose "
        "another --out",
        file.string(), join(identity, ", "));
  }
  return changed;
}

}  // namespace sdsclip

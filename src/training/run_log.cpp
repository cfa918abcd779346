#include "sdsclip/training/run_log.h"

#include <nlohmann/json.hpp>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

using Json = nlohmann::ordered_json;

std::string lines_up_to(const std::string& text, std::int64_t done_steps) {
  std::string kept;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string::npos) break;  // cut off by a kill
    const std::string_view line = std::string_view(text).substr(start, end - start);
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("step") || json["step"].get<std::int64_t>() > done_steps) break;
    kept.append(line).push_back('\n');
    start = end + 1;
  }
  return kept;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& file, std::int64_t done_steps) : file_(file) {
  std::error_code ignored;
  const std::string before = std::filesystem::exists(file, ignored) ? read_file(file) : "";
  write_file_atomically(file, lines_up_to(before, done_steps));
  stream_.open(file, std::ios::app | std::ios::binary);
}

void RunLog::write(std::int64_t step, const StepResult& result, const StepTimes& times) {
  Json loss = {{"total", result.total}};
  if (result.contrastive) loss["contrastive"] = *result.contrastive;
  if (result.sds) loss["sds"] = *result.sds;
  Json line = {{"step", step}, {"loss", loss}};
  line["gradient"] = {{"norm", times.gradient_norm},
                      {"contrastive", result.gradient_norm_contrastive},
                      {"sds", result.gradient_norm_sds},
                      {"cosine", result.gradient_cosine}};
  line["logit_scale"] = times.logit_scale;
  if (result.sds) line["z"] = {{"mean", result.z_mean}, {"std", result.z_std}};
  if (result.sds_shuffled) {
    line["sds_shuffled"] = *result.sds_shuffled;
    line["sds_gap"] = *result.sds_shuffled - *result.sds;
  }
  line["lr"] = times.learning_rate;
  line["images_per_second"] = times.images_per_second;
  line["wait_share"] = times.wait_share;
  line["peak_memory_bytes"] = times.peak_memory_bytes;
  stream_ << line.dump() << "\n" << std::flush;
  if (!stream_) {
    throw runtime_failure(
        "{}: cannot write step {}; is the disk full? Free some space and run again with --resume",
        file_.string(), step);
  }
}

std::int64_t peak_memory_bytes() {
  // Not getrusage: its figure starts at that of the process that started this one.
  constexpr std::string_view kPeak = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kPeak)) return std::stoll(line.substr(kPeak.size())) * 1024;  // written in KiB
  }
  return 0;
}

}  // namespace sdsclip

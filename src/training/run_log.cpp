#include "sdsclip/training/run_log.h"

#include <limits>
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

/// Of a file of steps; null where there is none.
Json last_line(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return nullptr;
  const std::string text = lines_up_to(read_file(file), std::numeric_limits<std::int64_t>::max());
  if (text.empty()) return nullptr;
  const std::size_t before = text.rfind('\n', text.size() - 2);
  return Json::parse(text.substr(before == std::string::npos ? 0 : before + 1));
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& file, std::int64_t done_steps) : file_(file) {
  std::error_code ignored;
  const std::string before = std::filesystem::exists(file, ignored) ? read_file(file) : "";
  write_file_atomically(file, lines_up_to(before, done_steps));
  stream_.open(file, std::ios::app | std::ios::binary);
}

void RunLog::write(const Json& line) {
  stream_ << line.dump() << "\n" << std::flush;
  if (!stream_) {
    throw runtime_failure(
        "{}: cannot write step {}; is the disk full? Free some space and run again with --resume",
        file_.string(), line.at("step").get<std::int64_t>());
  }
}

Json step_line(std::int64_t step, const StepResult& result, const StepTimes& times) {
  Json loss = {{"total", result.total}};
  Json gradient = {{"norm", times.gradient_norm}};
  const auto add = [&](const char* name, const std::optional<StepTerm>& term, const char* cosine) {
    if (!term) return;
    loss[name] = term->loss;
    gradient[name] = term->gradient_norm;
    if (cosine != nullptr) gradient[cosine] = term->cosine;
  };
  add("contrastive", result.contrastive, nullptr);
  add("sds", result.sds, "cosine");
  add("feature", result.feature, "cosine_feature");
  add("rank", result.rank, "cosine_rank");
  Json line = {{"step", step}, {"loss", loss}, {"gradient", gradient}};
  line["logit_scale"] = times.logit_scale;
  if (result.sds) line["z"] = {{"mean", result.z_mean}, {"std", result.z_std}};
  if (result.sds_shuffled) {
    line["sds_shuffled"] = *result.sds_shuffled;
    line["sds_gap"] = *result.sds_shuffled - result.sds->loss;
  }
  if (times.loss_scale != 1) line["loss_scale"] = times.loss_scale;
  if (times.skipped) line["skipped"] = true;
  line["lr"] = times.learning_rate;
  line["images_per_second"] = times.images_per_second;
  line["wait_share"] = times.wait_share;
  line["peak_memory_bytes"] = times.peak_memory_bytes;
  if (times.peak_gpu_memory_bytes > 0) line["peak_gpu_memory_bytes"] = times.peak_gpu_memory_bytes;
  return line;
}

Json evaluation_line(std::int64_t step, std::span<const Metric> metrics) {
  Json values = Json::object();
  for (const Metric& metric : metrics) {
    values[metric.name] = {{"value", metric.value},
                           {"n", metric.n},
                           {"ci95", {metric.ci95.low, metric.ci95.high}},
                           {"ties", metric.ties}};
  }
  return {{"step", step}, {"metrics", values}};
}

StepResult read_last_losses(const std::filesystem::path& file) {
  const Json line = last_line(file);
  if (line.is_null()) return {};
  const Json& loss = line.at("loss");
  const auto term = [&](const char* name) -> std::optional<StepTerm> {
    if (!loss.contains(name)) return std::nullopt;
    return StepTerm{.loss = loss.at(name).get<double>()};
  };
  StepResult result;
  result.total = loss.at("total").get<double>();
  result.contrastive = term("contrastive");
  result.sds = term("sds");
  result.feature = term("feature");
  result.rank = term("rank");
  return result;
}

std::vector<Metric> read_last_evaluation(const std::filesystem::path& file) {
  const Json line = last_line(file);
  if (line.is_null()) return {};
  std::vector<Metric> metrics;
  for (const auto& [name, metric] : line.at("metrics").items()) {
    const Json& interval = metric.at("ci95");
    metrics.push_back({name,
                       metric.at("value"),
                       metric.at("n"),
                       {interval.at(0).get<double>(), interval.at(1).get<double>()},
                       metric.at("ties")});
  }
  return metrics;
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

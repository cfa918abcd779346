#include "sdsclip/training/run_log.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"
#include "sdsclip/base/log.h"

namespace sdsclip {
namespace {

using Json = nlohmann::ordered_json;

/// The step of a line; nothing if the line is not an object with one.
std::optional<std::int64_t> step_of(std::string_view line) {
  try {
    const Json json = parse_json_value(line, "line");
    return JsonRecord(json, "line").identifier("step");
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The complete lines of steps up to `done_steps`, in order. Damaged ones are left out with a warning.
std::string lines_up_to(const std::string& text, std::int64_t done_steps, const std::filesystem::path& file) {
  std::string kept;
  std::int64_t last = 0;
  std::int64_t number = 0;
  std::int64_t damaged = 0;
  std::int64_t first_damaged = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string::npos) break;  // a kill cut the line off
    const std::string_view line = std::string_view(text).substr(start, end - start);
    start = end + 1;
    ++number;
    const std::optional<std::int64_t> step = step_of(line);
    if (step && *step > done_steps) break;
    if (step && *step > last) {
      kept.append(line).push_back('\n');
      last = *step;
    } else if (++damaged == 1) {
      first_damaged = number;
    }
  }
  if (damaged > 0) {
    log_warning("{}:{}: is not an object with the number of a later step; lines left out: {}",
                file.string(), first_damaged, damaged);
  }
  return kept;
}

/// The last line of a file of steps.
struct LastLine {
  Json json;  ///< null if there is no line
  std::string where;
};

LastLine last_line(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {nullptr, ""};
  const std::string text = lines_up_to(read_file(file), std::numeric_limits<std::int64_t>::max(), file);
  if (text.empty()) return {nullptr, ""};
  const std::size_t before = text.rfind('\n', text.size() - 2);
  const std::string line = text.substr(before == std::string::npos ? 0 : before + 1);
  const std::string where = fmt::format("{}: its last line", file.string());
  return {parse_json_value(line, where), where};
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& file, std::int64_t done_steps) : file_(file) {
  std::error_code ignored;
  const std::string before = std::filesystem::exists(file, ignored) ? read_file(file) : "";
  write_file_atomically(file, lines_up_to(before, done_steps, file));
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
  const LastLine line = last_line(file);
  if (line.json.is_null()) return {};
  const JsonRecord loss = JsonRecord(line.json, line.where).child("loss");
  const auto term = [&](const char* name) -> std::optional<StepTerm> {
    return loss.has(name) ? std::optional(StepTerm{.loss = loss.number(name)}) : std::nullopt;
  };
  StepResult result;
  result.total = loss.number("total");
  result.contrastive = term("contrastive");
  result.sds = term("sds");
  result.feature = term("feature");
  result.rank = term("rank");
  return result;
}

std::vector<Metric> read_last_evaluation(const std::filesystem::path& file) {
  const LastLine line = last_line(file);
  if (line.json.is_null()) return {};
  std::vector<Metric> metrics;
  for (const auto& [name, value] : JsonRecord(line.json, line.where).child("metrics").object().items()) {
    const JsonRecord metric(value, fmt::format("{}, metric {}", line.where, name));
    const std::vector<double> interval = metric.numbers("ci95", 2);
    metrics.push_back(
        {name, metric.number("value"), metric.count("n"), {interval[0], interval[1]}, metric.count("ties")});
    check_score(metrics.back(), metric.where());
  }
  return metrics;
}

}  // namespace sdsclip

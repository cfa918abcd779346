#include "sdsclip/reporting/result.h"

#include <cmath>
#include <stdexcept>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kSchema = 1;
constexpr double kMostSeconds = 1e10;  // three hundred years

double finite(double value, const std::string& what) {
  if (!std::isfinite(value)) throw std::logic_error(what + " is not finite");
  return value;
}

ordered_json to_json(const Metric& metric) {
  ordered_json json = {
      {"value", finite(metric.value, metric.name)},
      {"n", metric.n},
      {"ci95", {finite(metric.ci95.low, metric.name), finite(metric.ci95.high, metric.name)}},
      {"ties", metric.ties}};
  if (!metric.groups_of_one.empty()) json["groups_of_one"] = metric.groups_of_one;
  return json;
}

Metric metric_from(const std::string& name, const JsonRecord& record) {
  const std::vector<double> interval = record.numbers("ci95", 2);
  if (interval[0] > interval[1]) {
    throw input_error("{}: key 'ci95': got {} and {}, expected the smaller one first", record.where(),
                      interval[0], interval[1]);
  }
  const Metric metric = {.name = name,
                         .value = record.number("value"),
                         .n = record.count("n"),
                         .ci95 = {.low = interval[0], .high = interval[1]},
                         .ties = record.count("ties"),
                         .groups_of_one = record.has("groups_of_one") ? record.texts("groups_of_one")
                                                                      : std::vector<std::string>()};
  if (is_score(metric)) check_score(metric, record.where());
  return metric;
}

double seconds_from(const JsonRecord& record, const std::string& key) {
  const double seconds = record.number(key);
  if (!(seconds >= 0 && seconds <= kMostSeconds)) {
    throw input_error("{}: key '{}': got {}, expected 0 to {}", record.where(), key, seconds, kMostSeconds);
  }
  return seconds;
}

}  // namespace

ordered_json to_json(const RunResult& result) {
  ordered_json metrics = ordered_json::object();
  for (const Metric& metric : result.metrics) append_field(metrics, metric.name, to_json(metric));
  return {{"schema", kSchema},
          {"command", result.command},
          {"benchmark", result.benchmark},
          {"model", {{"name", result.model.name}, {"sha256", result.model.sha256}}},
          {"settings", result.settings.is_null() ? ordered_json::object() : result.settings},
          {"versions", result.versions},
          {"seconds", finite(result.seconds, "seconds")},
          {"skipped_missing", result.skipped_missing},
          {"matches", result.matches},
          {"seconds_a_match", finite(result.seconds_a_match, "seconds_a_match")},
          {"work",
           {{"unet_evaluations", result.work.unet_evaluations},
            {"vae_encodings", result.work.vae_encodings},
            {"text_encodings", result.work.text_encodings},
            {"image_encodings", result.work.image_encodings}}},
          {"metrics", metrics}};
}

void write_result(const fs::path& path, const RunResult& result) {
  // Tags may hold any bytes of a data set's file. Invalid UTF-8 is replaced, because refusing it would lose a
  // finished run.
  const std::string text = to_json(result).dump(2, ' ', false, ordered_json::error_handler_t::replace);
  write_file_atomically(path, text + "\n");
}

RunResult read_result(const fs::path& path) {
  const ordered_json file = read_json_file(path, kSmallFileBytes);
  const JsonRecord record(file, path.string());
  if (record.count("schema") != kSchema) {
    throw input_error("{}: key 'schema': got {}, expected {}; it was written by another version of sdsclip",
                      path.string(), record.count("schema"), kSchema);
  }
  const JsonRecord work = record.child("work");
  const JsonRecord model = record.child("model");
  RunResult result{
      .command = record.any_text("command"),
      .benchmark = record.any_text("benchmark"),
      .model = {.name = model.any_text("name"), .sha256 = model.any_text("sha256")},
      .settings = record.child("settings").object(),
      .seconds = seconds_from(record, "seconds"),
      .skipped_missing = record.has("skipped_missing") ? record.count("skipped_missing") : 0,
      .matches = record.has("matches") ? record.count("matches") : 0,
      .seconds_a_match = record.has("seconds_a_match") ? seconds_from(record, "seconds_a_match") : 0.0,
      .work = {.unet_evaluations = work.count("unet_evaluations"),
               .vae_encodings = work.count("vae_encodings"),
               .text_encodings = work.count("text_encodings"),
               .image_encodings = work.count("image_encodings")}};
  const JsonRecord versions = record.child("versions");
  for (const auto& [name, version] : versions.object().items()) {
    if (!version.is_string()) throw input_error("{}: key '{}': expected a text", versions.where(), name);
    result.versions[name] = version.get<std::string>();
  }
  const JsonRecord metrics = record.child("metrics");
  for (const auto& [name, metric] : metrics.object().items()) {
    result.metrics.push_back(metric_from(name, {metric, fmt::format("{}.{}", metrics.where(), name)}));
  }
  return result;
}

}  // namespace sdsclip

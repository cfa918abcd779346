#include "sdsclip/reporting/result.h"

#include <cmath>
#include <stdexcept>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::int64_t kSchema = 1;

// Reads one object of the file; every error names the file and the key's path.
class Reader {
 public:
  Reader(const ordered_json& value, std::string where) : value_(value), where_(std::move(where)) {
    if (!value_.is_object()) throw input_error("{}: got {}, expected an object", where_, value_.type_name());
  }

  [[nodiscard]] bool has(const char* key) const { return value_.contains(key); }
  [[nodiscard]] const ordered_json& object() const { return value_; }
  [[nodiscard]] Reader child(const char* key) const { return {get(key), where_ + "." + key}; }

  [[nodiscard]] std::string text(const char* key) const {
    if (!get(key).is_string()) throw wrong_kind(key, "a text");
    return get(key).get<std::string>();
  }
  [[nodiscard]] double number(const char* key) const {
    if (!get(key).is_number()) throw wrong_kind(key, "a number");
    return get(key).get<double>();
  }
  [[nodiscard]] std::int64_t count(const char* key) const {
    if (!get(key).is_number_integer()) throw wrong_kind(key, "a whole number");
    return get(key).get<std::int64_t>();
  }
  [[nodiscard]] Interval interval(const char* key) const {
    const ordered_json& pair = get(key);
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number()) {
      throw wrong_kind(key, "two numbers");
    }
    return {.low = pair[0].get<double>(), .high = pair[1].get<double>()};
  }
  [[nodiscard]] const ordered_json& get(const char* key) const {
    const auto found = value_.find(key);
    if (found == value_.end()) throw input_error("{}: key '{}' is missing", where_, key);
    return *found;
  }

 private:
  [[nodiscard]] Error wrong_kind(const char* key, const char* expected) const {
    return input_error("{}: key '{}': got {}, expected {}", where_, key, get(key).dump(), expected);
  }

  const ordered_json& value_;
  std::string where_;
};

double finite(double value, const std::string& what) {
  if (!std::isfinite(value)) throw std::logic_error(what + " is not finite");
  return value;
}

ordered_json to_json(const Metric& metric) {
  return {{"value", finite(metric.value, metric.name)},
          {"n", metric.n},
          {"ci95", {finite(metric.ci95.low, metric.name), finite(metric.ci95.high, metric.name)}},
          {"ties", metric.ties}};
}

Metric metric_from(const std::string& name, const Reader& reader) {
  return {.name = name,
          .value = reader.number("value"),
          .n = reader.count("n"),
          .ci95 = reader.interval("ci95"),
          .ties = reader.count("ties")};
}

}  // namespace

ordered_json to_json(const RunResult& result) {
  ordered_json metrics = ordered_json::object();
  for (const Metric& metric : result.metrics) metrics[metric.name] = to_json(metric);
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
  // Tags may hold any bytes of a data set's file; what is not UTF-8 is replaced rather than refused at the
  // very end.
  const std::string text = to_json(result).dump(2, ' ', false, ordered_json::error_handler_t::replace);
  write_file_atomically(path, text + "\n");
}

RunResult read_result(const fs::path& path) {
  ordered_json file;
  try {
    file = ordered_json::parse(read_file(path));
  } catch (const ordered_json::exception& error) {  // also a number too large for any type
    throw input_error("{}: not valid JSON: {}", path.string(), error.what());
  }
  const Reader reader(file, path.string());
  if (reader.count("schema") != kSchema) {
    throw input_error("{}: key 'schema': got {}, expected {}; it was written by another version of sdsclip",
                      path.string(), reader.count("schema"), kSchema);
  }
  const Reader work = reader.child("work");
  RunResult result{
      .command = reader.text("command"),
      .benchmark = reader.text("benchmark"),
      .model = {.name = reader.child("model").text("name"), .sha256 = reader.child("model").text("sha256")},
      .settings = reader.child("settings").object(),
      .versions = {},
      .seconds = reader.number("seconds"),
      .skipped_missing = reader.has("skipped_missing") ? reader.count("skipped_missing") : 0,
      .matches = reader.has("matches") ? reader.count("matches") : 0,
      .seconds_a_match = reader.has("seconds_a_match") ? reader.number("seconds_a_match") : 0.0,
      .work = {.unet_evaluations = work.count("unet_evaluations"),
               .vae_encodings = work.count("vae_encodings"),
               .text_encodings = work.count("text_encodings"),
               .image_encodings = work.count("image_encodings")},
      .metrics = {}};
  const Reader versions = reader.child("versions");
  for (const auto& [name, version] : versions.object().items()) {
    result.versions[name] = versions.text(name.c_str());
  }
  const Reader metrics = reader.child("metrics");
  for (const auto& [name, metric] : metrics.object().items()) {
    result.metrics.push_back(metric_from(name, metrics.child(name.c_str())));
  }
  return result;
}

}  // namespace sdsclip

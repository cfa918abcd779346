#include "sdsclip/training/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "sdsclip/base/error.h"
#include "sdsclip/base/interrupt.h"

namespace sdsclip {
namespace {

constexpr std::size_t kLongestName = 255;  // of a folder, in bytes

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// Splits at commas that are outside YAML lists, maps and quoted text.
std::vector<std::string> split_values(std::string_view text) {
  std::vector<std::string> values;
  std::size_t start = 0;
  int depth = 0;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char character = text[i];
    if (quote != '\0') {
      if (character == quote) quote = '\0';
    } else if (character == '"' || character == '\'') {
      quote = character;
    } else if (character == '[' || character == '{') {
      ++depth;
    } else if (character == ']' || character == '}') {
      --depth;
    } else if (character == ',' && depth == 0) {
      values.emplace_back(trimmed(text.substr(start, i - start)));
      start = i + 1;
    }
  }
  values.emplace_back(trimmed(text.substr(start)));
  return values;
}

/// Percent-encodes as in a URL: numbers and names stay readable, and different texts stay different.
std::string as_file_name(std::string_view text) {
  constexpr std::string_view kPlain = "._+=,-";
  std::string name;
  for (const char character : text) {
    const unsigned char byte = static_cast<unsigned char>(character);
    const bool alphanumeric =
        (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    if (alphanumeric || kPlain.find(character) != std::string_view::npos) {
      name += character;
    } else {
      name += fmt::format("%{:02X}", byte);
    }
  }
  return name;
}

std::string name_of(std::span<const std::pair<std::string, std::string>> settings) {
  std::string name;
  for (const auto& [key, value] : settings) {
    name += fmt::format("{}{}={}", name.empty() ? "" : ",", as_file_name(key), as_file_name(value));
  }
  return name;
}

}  // namespace

GridAxis parse_grid_axis(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || trimmed(text.substr(0, equals)).empty()) {
    throw usage_error("--grid: got '{}', expected key=value,value,..., such as train.lr=1e-5,5e-5", text);
  }
  GridAxis axis{.key = std::string(trimmed(text.substr(0, equals))),
                .values = split_values(text.substr(equals + 1))};
  std::set<std::string> seen;
  for (const std::string& value : axis.values) {
    if (value.empty()) throw usage_error("--grid {}: got an empty value in '{}'", axis.key, text);
    if (!seen.insert(value).second) throw usage_error("--grid {}: got {} twice", axis.key, value);
  }
  return axis;
}

std::vector<SweepPoint> grid_points(std::span<const GridAxis> axes) {
  if (axes.empty()) throw usage_error("--grid: got none, expected key=value,value,... at least once");
  std::set<std::string> keys;
  std::vector<SweepPoint> points(1);
  for (const GridAxis& axis : axes) {
    if (!keys.insert(axis.key).second) {
      throw usage_error("--grid {}: got it twice, expected all its values in one --grid", axis.key);
    }
    std::vector<SweepPoint> longer;
    for (const SweepPoint& point : points) {
      for (const std::string& value : axis.values) {
        longer.push_back(point);
        longer.back().settings.emplace_back(axis.key, value);
      }
    }
    points = std::move(longer);
  }
  for (SweepPoint& point : points) {
    point.name = name_of(point.settings);
    if (point.name.size() > kLongestName) {
      throw usage_error(
          "--grid: the folder '{}...' would have a name of {} bytes, expected at most {}; "
          "give fewer axes or shorter values",
          point.name.substr(0, 40), point.name.size(), kLongestName);
    }
  }
  return points;
}

std::string_view name_of(SweepStatus status) {
  constexpr std::array<std::string_view, 3> kNames = {"pending", "done", "failed"};
  return kNames[static_cast<std::size_t>(status)];
}

std::vector<SweepOutcome> run_points(std::size_t count,
                                     const std::function<std::optional<double>(std::size_t)>& run_point,
                                     const std::function<void(std::span<const SweepOutcome>)>& report) {
  std::vector<SweepOutcome> outcomes(count);
  for (std::size_t i = 0; i < count; ++i) {
    throw_if_interrupted();
    SweepOutcome& outcome = outcomes[i];
    try {
      outcome.value = run_point(i);
      outcome.status = SweepStatus::kDone;
    } catch (const Error& error) {
      if (error.exit_code() == ExitCode::kInterrupted) throw;
      outcome.status = SweepStatus::kFailed;
      outcome.failure = error.what();
    }
    report(outcomes);
  }
  return outcomes;
}

bool higher_is_better(std::string_view metric) {
  return !metric.starts_with("train/last_loss/");
}

std::optional<std::size_t> best_outcome(std::span<const SweepOutcome> outcomes, bool higher_is_better) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].status != SweepStatus::kDone || !outcomes[i].value) continue;
    const double value = *outcomes[i].value;
    const bool is_better =
        !best || (higher_is_better ? value > *outcomes[*best].value : value < *outcomes[*best].value);
    if (is_better) best = i;
  }
  return best;
}

}  // namespace sdsclip

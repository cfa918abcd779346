#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sdsclip {

/// One `--grid`: a configuration key and its values.
struct GridAxis {
  std::string key;                  ///< `train.lr`
  std::vector<std::string> values;  ///< as written; each is read as YAML
};

/// Reads `key=v1,v2,...`. Commas inside brackets, braces or quotes do not separate values:
/// `train.lora.targets=[attn],[attn, mlp]` has two values. Throws `Error(kUsage)` if the text has another
/// form, or if a value is empty or repeated.
GridAxis parse_grid_axis(std::string_view text);

/// One run of a sweep.
struct SweepPoint {
  /// The name of its folder, such as `train.lr=1e-5,sds.lambda=1e-4`. Bytes other than letters, digits and
  /// `._+=,-` are written as `%2F`, so no two points share a name.
  std::string name;
  std::vector<std::pair<std::string, std::string>> settings;  ///< key and value of each axis
};

/// Every combination of the axes' values; the last axis changes first. Throws `Error(kUsage)` if there is no
/// axis, a key is repeated, or a name is too long for a folder.
std::vector<SweepPoint> grid_points(std::span<const GridAxis> axes);

enum class SweepStatus { kPending, kDone, kFailed };

/// The status as text: `pending`, `done`, `failed`.
std::string_view name_of(SweepStatus status);

/// The result of a point.
struct SweepOutcome {
  SweepStatus status = SweepStatus::kPending;
  std::optional<double> value;  ///< the metric's value, if the point is done
  std::string failure;          ///< the error, if the point failed
};

/// Runs `count` points in order. `run_point` trains the point with that index and returns the metric's value,
/// or nothing if the run lacks the metric. If it throws an `Error`, the point has failed and the sweep
/// continues. An interrupt or any other exception ends the sweep and is rethrown. `report` receives all
/// outcomes so far after every point.
std::vector<SweepOutcome> run_points(std::size_t count,
                                     const std::function<std::optional<double>(std::size_t)>& run_point,
                                     const std::function<void(std::span<const SweepOutcome>)>& report);

/// Whether higher is better: true for benchmark metrics, false for `train/last_loss/...`.
bool higher_is_better(std::string_view metric);

/// The index of the best finished point, the first one among equals; nothing if none is finished.
std::optional<std::size_t> best_outcome(std::span<const SweepOutcome> outcomes, bool higher_is_better);

}  // namespace sdsclip

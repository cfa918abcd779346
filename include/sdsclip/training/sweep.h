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

/// One `--grid`: a configuration key and the values that it takes.
struct GridAxis {
  std::string key;                  ///< `train.lr`
  std::vector<std::string> values;  ///< as written; each is read as YAML
};

/// Reads `key=v1,v2,...`. A comma within brackets, braces or quotes parts nothing:
/// `train.lora.targets=[attn],[attn, mlp]` has two values. Throws `Error(kUsage)` on another form, on an
/// empty value and on one that stands twice.
GridAxis parse_grid_axis(std::string_view text);

/// One run of a sweep.
struct SweepPoint {
  /// `train.lr=1e-5,sds.lambda=1e-4`: its folder below the sweep's. Other bytes than letters, digits and
  /// `._+=,-` are written as `%2F`, so that no two points share a name.
  std::string name;
  std::vector<std::pair<std::string, std::string>> settings;  ///< key and value of each axis
};

/// Every combination of the axes' values, the last axis changing first. Throws `Error(kUsage)` where there is
/// no axis, a key stands twice, or a name is too long for a folder.
std::vector<SweepPoint> grid_points(std::span<const GridAxis> axes);

enum class SweepStatus { kPending, kDone, kFailed };

/// `pending`, `done`, `failed`
std::string_view name_of(SweepStatus status);

/// What became of a point.
struct SweepOutcome {
  SweepStatus status = SweepStatus::kPending;
  std::optional<double> value;  ///< the metric's, of a done point
  std::string failure;          ///< why, of a failed point
};

/// Runs `count` points in order. `run_point` trains the one of that index and returns the metric's value,
/// nothing where the run has no such metric. An `Error` of it is recorded, and the sweep goes on with the
/// next point; an interrupt ends the sweep and is thrown on, as is any other exception. `report` gets all
/// outcomes so far, after every point.
std::vector<SweepOutcome> run_points(std::size_t count,
                                     const std::function<std::optional<double>(std::size_t)>& run_point,
                                     const std::function<void(std::span<const SweepOutcome>)>& report);

/// Whether more of the metric is better: benchmarks' metrics, not `train/last_loss/...`.
bool higher_is_better(std::string_view metric);

/// The index of the best done point, the first of equals; nothing where none is done.
std::optional<std::size_t> best_outcome(std::span<const SweepOutcome> outcomes, bool higher_is_better);

}  // namespace sdsclip

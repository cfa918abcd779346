#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/benchmarks/metrics.h"

namespace sdsclip {

/// One value of a step under TensorBoard's name, such as `loss/total`.
struct Scalar {
  std::string tag;
  double value = 0;
};

/// The numbers of a line of `log.jsonl`; names of nested objects are joined by `/`: `{"loss": {"total": 1}}`
/// gives `loss/total`. Skips `step` and values that are not numbers.
std::vector<Scalar> flatten_scalars(const nlohmann::ordered_json& line);

/// The metrics' values under names such as `evaluation/winoground/text`.
std::vector<Scalar> evaluation_scalars(std::span<const Metric> metrics);

/// A TensorBoard event file: `tensorflow.Event` records (event.proto, summary.proto) in TFRecord frames
/// (length, its masked CRC-32C, data, its masked CRC-32C).
/// Each start or resume writes a new event file that opens with a START event at its first step. TensorBoard
/// then drops what an earlier file has from that step on, which the killed run wrote after its last
/// checkpoint.
class EventLog {
 public:
  /// Creates the next file in `folder` for a run that continues after `done_steps`. Throws like
  /// `write_file_atomically`.
  EventLog(const std::filesystem::path& folder, std::int64_t done_steps);

  /// Adds one event with all scalars, stored as float32. Throws `Error(kRuntime)` if it cannot be written
  /// (disk full).
  void write(std::int64_t step, std::span<const Scalar> scalars);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

/// CRC-32C (Castagnoli) of the bytes, as in RFC 3720, section 12.1.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace sdsclip

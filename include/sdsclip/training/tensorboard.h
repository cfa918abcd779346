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

/// One number of a step, as TensorBoard names it: `loss/total`.
struct Scalar {
  std::string tag;
  double value = 0;
};

/// The numbers of a line of `log.jsonl`, the names of nested objects joined by `/`: `{"loss": {"total": 1}}`
/// gives `loss/total`. `step` and what is no number are left out.
std::vector<Scalar> flatten_scalars(const nlohmann::ordered_json& line);

/// The metrics' values, as `evaluation/winoground/text`.
std::vector<Scalar> evaluation_scalars(std::span<const Metric> metrics);

/// A TensorBoard event file: `tensorflow.Event` records (event.proto, summary.proto) in TFRecord frames
/// (length, its masked CRC-32C, data, its masked CRC-32C).
///
/// Each life of a run has a file of its own, which begins with a session's start at the step that the life
/// does first: TensorBoard then drops what the life before wrote from that step on, after its last
/// checkpoint.
class EventLog {
 public:
  /// Creates the next file in `folder`, for a life that goes on after `done_steps`. Throws as
  /// `write_file_atomically`.
  EventLog(const std::filesystem::path& folder, std::int64_t done_steps);

  /// Adds one event with all scalars (kept as float32). Throws `Error(kRuntime)` where it cannot be written
  /// (disk full).
  void write(std::int64_t step, std::span<const Scalar> scalars);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

/// CRC-32C (Castagnoli) of the bytes, as in RFC 3720, section 12.1.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace sdsclip

#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "sdsclip/training/config.h"
#include "sdsclip/training/step.h"

namespace sdsclip {

/// Free memory on the device in bytes, after LibTorch and the C library have returned what they only reserve.
/// On a CPU it is the system's available memory within the control group's limit. Throws `Error(kUsage)` if
/// the system does not report it.
std::int64_t free_memory_bytes(c10::Device device);

/// The peak memory in bytes that `work` needs beyond what is in use when it starts.
std::int64_t extra_peak_bytes(c10::Device device, const std::function<void()>& work);

/// All `most` items if their step fits into `budget` bytes. Otherwise the largest of a half, a third, a
/// quarter of them and so on (rounded up, at least 1) whose step fits. A step of n items needs `bytes_of(1) +
/// (n - 1) * slope`, with the slope from a trial of four items.
std::int64_t largest_micro_batch(const std::function<std::int64_t(std::int64_t items)>& bytes_of,
                                 std::int64_t most, std::int64_t budget);

/// Replaces `kAuto` in the options by what fits into four fifths of the device's free memory. The choice is
/// stored in `OUT/auto.json` and reused on resume, because low bits depend on it. Trial steps use made-up
/// images and captions and leave no gradient.
void settle_micro_batches(TrainOptions& options, const StepModels& models, const StepOptions& step,
                          const std::vector<NamedTensor>& trained, const fs::path& out);

/// Runs the UNet of L_SDS compiled if `train.compiled` and the bundle's packages permit. A run keeps what its first
/// start has found (`OUT/auto.json`), because low bits depend on it. `continues`: the run has steps already.
void settle_teacher_graph(const TrainConfig& config, DiffusionTeacher& teacher, bool continues,
                          const fs::path& out);

}  // namespace sdsclip

#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "sdsclip/training/config.h"
#include "sdsclip/training/step.h"

namespace sdsclip {

/// Memory that is free on the device, once LibTorch and the C library have given back what they only hold on
/// to: on a CPU what the system calls available, within the control group's limit. Throws `Error(kUsage)`
/// where the system does not tell.
std::int64_t free_memory_bytes(c10::Device device);

/// Bytes that `work` needs at most beyond those that are in use when it starts.
std::int64_t extra_peak_bytes(c10::Device device, const std::function<void()>& work);

/// All `most` items where their step fits into `budget` bytes; else the largest of a half, a third, a quarter
/// of them and so on (rounded up) whose step does, 1 at least. A step of n items is taken to need
/// `bytes_of(1) + (n - 1) * slope`, with the slope from a trial of four items.
std::int64_t largest_micro_batch(const std::function<std::int64_t(std::int64_t items)>& bytes_of,
                                 std::int64_t most, std::int64_t budget);

/// Replaces `kAuto` in the options by what fits into four fifths of the device's free memory. The choice is
/// kept in `OUT/auto.json` and read from there by a later life of the run: low bits depend on it. The steps
/// that are tried are on made-up images and captions; they leave no gradient.
void settle_micro_batches(TrainOptions& options, const StepModels& models, const StepOptions& step,
                          const std::vector<NamedTensor>& trained, const std::filesystem::path& out);

}  // namespace sdsclip

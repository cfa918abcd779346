#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <optional>
#include <vector>

namespace sdsclip {

/// Numbers on their way from the device to the host. Only `read` waits: for the work that was queued before
/// the copy, and not for what was queued since.
class HostCopy {
 public:
  /// Queues the copy of f32[n].
  explicit HostCopy(const at::Tensor& numbers);

  [[nodiscard]] std::vector<double> read() const;

 private:
  at::Tensor host_;
  std::optional<c10::Event> done_;  // none on a CPU
};

}  // namespace sdsclip

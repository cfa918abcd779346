#include "sdsclip/models/host_copy.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace sdsclip {

HostCopy::HostCopy(const at::Tensor& numbers) : host_(numbers) {
  const c10::Device device = numbers.device();
  if (device.is_cpu()) return;
  host_ = at::empty_like(numbers, numbers.options().device(at::kCPU).pinned_memory(true));
  host_.copy_(numbers, /*non_blocking=*/true);
  done_.emplace(device.type());
  done_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

std::vector<double> HostCopy::read() const {
  RECORD_USER_SCOPE("sdsclip::to_host");
  if (done_) done_->synchronize();
  const float* const numbers = host_.const_data_ptr<float>();
  return {numbers, numbers + host_.numel()};
}

}  // namespace sdsclip

#include "bad_records.h"

#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {

void BadRecords::leave_out(const std::string& error) {
  constexpr std::int64_t kNamed = 5;
  if (fails()) {
    throw input_error("{} (set data.on_bad_sample=skip to leave bad records out)", error);
  }
  if (count_++ < kNamed) errors_.push_back(error);
}

void BadRecords::finish(std::int64_t good) const {
  if (count_ == 0) return;
  const double share = static_cast<double>(count_) / static_cast<double>(count_ + good);
  if (count_ > kBadRecordsAllowed && share > rule_.max_bad) {
    throw input_error("{}: {} of {} records are bad, more than data.max_bad ({}); the first: {}", name_,
                      count_, count_ + good, rule_.max_bad, first_error());
  }
  for (const std::string& error : errors_) log_warning("bad record left out: {}", error);
  log_warning("{}: left out {} of {} records", name_, count_, count_ + good);
}

}  // namespace sdsclip

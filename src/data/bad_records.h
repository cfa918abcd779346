#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdsclip/data/captions.h"

namespace sdsclip {

/// The records that cannot be used, met while a data set is opened: counted, and in the end the first few are
/// named in the log. Where the data set cannot be used at all, its error alone is shown.
class BadRecords {
 public:
  /// `name` stands for the data set.
  BadRecords(std::string name, const BadRecordRule& rule) : name_(std::move(name)), rule_(rule) {}

  /// Leaves a record out for the reason `error`, or throws it as `Error(kInput)` where the rule is to fail.
  void leave_out(const std::string& error);

  /// To be called at the end, with the number of records that can be used. Throws `Error(kInput)` where more
  /// were left out than the rule allows.
  void finish(std::int64_t good) const;

  /// Whether the rule is to fail at the first bad record.
  [[nodiscard]] bool fails() const { return rule_.on_bad_sample == OnBadSample::kFail; }

  /// The first record that was left out; an empty text where none was.
  [[nodiscard]] std::string first_error() const { return errors_.empty() ? "" : errors_.front(); }

 private:
  std::string name_;
  BadRecordRule rule_;
  std::int64_t count_ = 0;
  std::vector<std::string> errors_;  // the first few
};

}  // namespace sdsclip

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdsclip/data/captions.h"

namespace sdsclip {

/// Counts the bad records of a data set while it is opened, and logs the first few at the end. If the data
/// set cannot be used at all, only that error is shown.
class BadRecords {
 public:
  /// `name` names the data set in errors.
  BadRecords(std::string name, const BadRecordRule& rule) : name_(std::move(name)), rule_(rule) {}

  /// Leaves a record out because of `error`, or throws it as `Error(kInput)` if the rule is to fail.
  void leave_out(const std::string& error);

  /// Call at the end with the number of good records. Throws `Error(kInput)` if more records were left out
  /// than the rule allows.
  void finish(std::int64_t good) const;

  /// Whether the first bad record ends the run.
  [[nodiscard]] bool fails() const { return rule_.on_bad_sample == OnBadSample::kFail; }

  /// The error of the first record left out; empty if there is none.
  [[nodiscard]] std::string first_error() const { return errors_.empty() ? "" : errors_.front(); }

 private:
  std::string name_;
  BadRecordRule rule_;
  std::int64_t count_ = 0;
  std::vector<std::string> errors_;  // the first few
};

}  // namespace sdsclip

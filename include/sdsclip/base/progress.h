#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "sdsclip/base/stopwatch.h"

namespace sdsclip {

/// Shows a loop's progress on stderr with its rate and the time left: a redrawn bar on a terminal, otherwise
/// a plain line every ten seconds.
class Progress {
 public:
  /// `total` units of `unit` ("steps", "images"); a resumed run starts with `done` of them.
  Progress(std::string label, std::int64_t total, std::string unit, bool quiet, std::int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note` appears at the end of the line, such as "loss 1.234".
  void update(std::int64_t done, std::string_view note = "");

 private:
  void draw(std::string_view note, double seconds);

  std::string label_;
  std::string unit_;
  std::int64_t total_;
  std::int64_t first_;
  std::int64_t done_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  Stopwatch since_start_;
  Stopwatch since_draw_;
};

/// One state of the bar without control characters: "label  45% [#########           ] 450/1000 images,
/// 12.3/s, 0:44 left, note". `rate` is in units per second; 0 means that it is not known yet.
std::string progress_line(std::string_view label, std::int64_t done, std::int64_t total,
                          std::string_view unit, double rate, std::string_view note);

}  // namespace sdsclip

#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace sdsclip {

/// How far a loop is, with rate and time left, on stderr: a bar that is redrawn on a terminal, a plain line
/// every ten seconds elsewhere.
class Progress {
 public:
  /// `total` units of `unit` ("steps", "images"), of which `done` are there already (a resumed run).
  Progress(std::string label, std::int64_t total, std::string unit, bool quiet, std::int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note` stands at the end of the line, such as "loss 1.234".
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
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
};

/// "label  45% [#########           ] 450/1000 images, 12.3/s, 0:44 left, note": one state of the bar,
/// without control characters. `rate` in units a second; 0 where it is not known yet.
std::string progress_line(std::string_view label, std::int64_t done, std::int64_t total,
                          std::string_view unit, double rate, std::string_view note);

}  // namespace sdsclip

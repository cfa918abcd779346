#include "sdsclip/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace sdsclip {
namespace {

constexpr int kBarWidth = 20;
constexpr double kTerminalInterval = 0.1;  // seconds between two redraws
constexpr double kPlainInterval = 10.0;

std::string clock_text(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

std::string progress_line(std::string_view label, std::int64_t done, std::int64_t total,
                          std::string_view unit, double rate, std::string_view note) {
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1.0;
  const int filled = static_cast<int>(share * kBarWidth);
  std::string line =
      fmt::format("{} {:3}% [{}{}] {}/{} {}", label, static_cast<int>(share * 100),
                  std::string(static_cast<std::size_t>(filled), '#'),
                  std::string(static_cast<std::size_t>(kBarWidth - filled), ' '), done, total, unit);
  if (rate > 0) {
    line += fmt::format(", {:.3g}/s, {} left", rate, clock_text(static_cast<double>(total - done) / rate));
  }
  if (!note.empty()) line += fmt::format(", {}", note);
  return line;
}

Progress::Progress(std::string label, std::int64_t total, std::string unit, bool quiet, std::int64_t done)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      first_(done),
      done_(done),
      quiet_(quiet),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (terminal_ && drawn_) std::fputs("\n", stderr);
}

void Progress::update(std::int64_t done, std::string_view note) {
  done_ = done;
  if (quiet_) return;
  const bool last = done_ >= total_;
  if (!last && since_draw_.seconds() < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  since_draw_ = Stopwatch();
  draw(note, since_start_.seconds());
}

void Progress::draw(std::string_view note, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(done_ - first_) / seconds : 0.0;
  const std::string line = progress_line(label_, done_, total_, unit_, rate, note);
  // Clear to the end of the line, in case the previous line was longer.
  std::fputs(terminal_ ? fmt::format("\r{}\x1b[K", line).c_str() : fmt::format("{}\n", line).c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace sdsclip

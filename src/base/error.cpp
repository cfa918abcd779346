#include "sdsclip/base/error.h"

#include <algorithm>

namespace sdsclip {
namespace {

// Messages quote file names and library texts, which may hold line breaks; an error is one line whatever they
// hold.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\r', ' ');
  return text;
}

}  // namespace

Error::Error(ExitCode exit_code, const std::string& message)
    : std::runtime_error(one_line(message)), exit_code_(exit_code) {}

}  // namespace sdsclip

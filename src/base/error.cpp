#include "sdsclip/base/error.h"

#include <algorithm>

#include "sdsclip/base/text.h"

namespace sdsclip {
namespace {

constexpr std::size_t kLongestMessage = 4000;

// Messages quote file names, values and texts from libraries, which may hold anything. An error must still be
// one printable line.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\r', ' ');
  return shortened(terminal_text(shortened(text, kLongestMessage)), kLongestMessage);
}

}  // namespace

Error::Error(ExitCode exit_code, const std::string& message)
    : std::runtime_error(one_line(message)), exit_code_(exit_code) {}

}  // namespace sdsclip

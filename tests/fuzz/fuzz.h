#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/error.h"
#include "support/temporary_folder.h"

// A fuzz target is one file of this folder with the two functions below, the second one as libFuzzer calls
// it. The driver (`driver.cpp`) calls it with many inputs and looks for crashes, hangs, sanitizer reports,
// and exceptions other than `sdsclip::Error`.

/// Small valid inputs to start from, made by the project's own writers if there are any.
std::vector<std::string> fuzz_seeds();

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sdsclip::fuzz {

/// A folder for readers that want a path; the process has one.
inline const std::filesystem::path& folder() {
  static const testing::TemporaryFolder kFolder;
  return kFolder.path();
}

inline std::filesystem::path put(const std::filesystem::path& name, std::string_view bytes) {
  const std::filesystem::path path = folder() / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

inline std::string get(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// Runs a reader on the input. Refusing it by an `Error` is right, and so is reading it.
template <typename Reader>
int read(const std::uint8_t* data, std::size_t size, Reader&& reader) {
  try {
    reader(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace sdsclip::fuzz

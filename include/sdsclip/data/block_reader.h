#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "sdsclip/base/file_reader.h"

namespace sdsclip {

/// Reads a file block by block, for a reader that walks over it.
class BlockReader {
 public:
  /// `file` must outlive the block reader.
  explicit BlockReader(const FileReader& file) : file_(file) {}

  /// The rest of the block from `position` on; empty at the end of the file. Valid until the next call.
  [[nodiscard]] std::string_view at(std::uint64_t position) {
    constexpr std::uint64_t kBlock = std::uint64_t{1} << 20;
    const bool inside = position >= start_ && position < start_ + bytes_.size();
    if (!inside && position < file_.size()) {
      start_ = position;
      bytes_ = file_.read(position, static_cast<std::size_t>(std::min(kBlock, file_.size() - position)));
    }
    return position < file_.size() ? std::string_view(bytes_).substr(position - start_) : "";
  }

 private:
  const FileReader& file_;
  std::string bytes_;
  std::uint64_t start_ = 0;
};

}  // namespace sdsclip

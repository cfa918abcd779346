#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sdsclip/base/files.h"

namespace sdsclip {

/// The images of a batch as squares of interleaved RGB bytes (`resize_and_crop`), all of one size. The first
/// `memory_limit` bytes are in memory. The rest is in an unnamed temporary file (folder TMPDIR, else /tmp),
/// so a batch of thousands takes no more memory than a small one.
class PixelStore {
 public:
  static constexpr std::size_t kMemoryLimit = std::size_t{8} << 20;

  PixelStore() = default;
  explicit PixelStore(std::size_t image_bytes, std::size_t memory_limit = kMemoryLimit);

  /// Adds one or more images. Throws `Error(kRuntime)` if the temporary file cannot be written.
  /// REQUIRES: the size of `images` is a multiple of `image_bytes`.
  void append(std::span<const std::uint8_t> images);

  /// The number of images.
  [[nodiscard]] std::int64_t count() const;

  /// The bytes of images `first` to `first + count - 1`. Throws `Error(kRuntime)` if the file cannot be read
  /// back.
  /// REQUIRES: `first + count` is at most `count()`.
  [[nodiscard]] std::vector<std::uint8_t> read(std::int64_t first, std::int64_t count) const;

 private:
  [[nodiscard]] bool has_file() const { return file_.get() >= 0; }
  void write_to_file(std::span<const std::uint8_t> bytes);

  std::size_t image_bytes_ = 0;
  std::size_t memory_limit_ = 0;
  std::vector<std::uint8_t> memory_;  // the first bytes
  std::size_t file_bytes_ = 0;        // the rest
  FileDescriptor file_;
};

}  // namespace sdsclip

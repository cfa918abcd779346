#include "gzip.h"

#include <zlib.h>

#include "sdsclip/base/error.h"
#include "sdsclip/data/image.h"

namespace sdsclip {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr int kGzipWindow = 15 + 16;  // zlib's largest window; 16 selects gzip's header and checksum

/// Calls `inflateEnd` on destruction.
struct Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

/// Unpacks the member at the stream's place onto `content`.
void inflate_member(z_stream& stream, std::string& content, const fs::path& path) {
  std::string piece(std::size_t{1} << 18, '\0');
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = inflate(&stream, Z_NO_FLUSH);
    content.append(piece, 0, piece.size() - stream.avail_out);
    if (content.size() > kMostBytes) {
      throw input_error("{}: holds more than {} bytes when unpacked; is it the right file?", path.string(),
                        kMostBytes);
    }
  }
  if (status == Z_MEM_ERROR) throw std::bad_alloc();
  if (status != Z_STREAM_END) throw input_error("{}: a damaged or cut .gz; fetch it again", path.string());
}

}  // namespace

std::string read_gzip(const fs::path& path) {
  const std::string packed = read_image_bytes(path);
  if (!packed.starts_with("\x1f\x8b")) {
    throw input_error(
        "{}: is not compressed by gzip, as its name says; take .gz off its name, or fetch it again",
        path.string());
  }
  Inflater inflater;
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // it is only read
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string content;
  while (stream.avail_in > 0) {
    inflate_member(stream, content, path);
    // Further members follow at once or after zeros (RFC 1952; Python's gzip).
    for (; stream.avail_in > 0 && *stream.next_in == 0; ++stream.next_in) --stream.avail_in;
    inflateReset(&stream);
  }
  return content;
}

}  // namespace sdsclip

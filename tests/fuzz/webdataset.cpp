#include "captions.h"
#include "sdsclip/data/tar_members.h"

using namespace sdsclip;

namespace {

void add_octal(std::string& header, std::size_t at, std::size_t width, std::size_t value) {
  for (std::size_t i = at + width - 1; i-- > at; value /= 8) header[i] = static_cast<char>('0' + value % 8);
}

/// A member of a ustar archive.
std::string member(const std::string& name, const std::string& bytes) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  add_octal(header, 100, 8, 0644);
  add_octal(header, 124, 12, bytes.size());
  header.replace(148, 8, "        ");
  header[156] = '0';
  header.replace(257, 8,
                 std::string("ustar\0"
                             "00",
                             8));
  std::size_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  add_octal(header, 148, 7, sum);
  return header + bytes + std::string((512 - bytes.size() % 512) % 512, '\0');
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  return {member("0.jpg", "image") + member("0.txt", "a cat") + member("1.JPG", "image") +
          member("1.txt", "") + std::string(1024, '\0')};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::put("shard.tar", {reinterpret_cast<const char*>(data), size}).string();
  fuzz::read(data, size, [&](std::string_view) { visit_tar(path, [](const TarMember&) {}); });
  return fuzz::read(data, size,
                    [&](std::string_view) { fuzz::read_captions(CaptionFormat::kWebDataset, path); });
}

#include "sdsclip/base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "sdsclip/base/error.h"
#include "sdsclip/base/file_reader.h"

namespace sdsclip {
namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
      throw runtime_failure("SHA-256 is not available in this machine's OpenSSL");
    }
  }

  void update(const char* bytes, std::size_t count) { EVP_DigestUpdate(context_.get(), bytes, count); }

  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256(std::string_view bytes) {
  Digest digest;
  digest.update(bytes.data(), bytes.size());
  return digest.finish();
}

std::string sha256_of_file(const fs::path& path) {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  const FileReader file(path);
  Digest digest;
  for (std::uint64_t at = 0; at < file.size(); at += kPiece) {
    const std::string piece = file.read(at, static_cast<std::size_t>(std::min(kPiece, file.size() - at)));
    digest.update(piece.data(), piece.size());
  }
  return digest.finish();
}

}  // namespace sdsclip

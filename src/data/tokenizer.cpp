#include "sdsclip/data/tokenizer.h"

#include "sdsclip/base/error.h"
#include "text_encoder.h"

namespace sdsclip {
namespace {

void check_length(std::string_view text) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 20;  // take at most a second or two
  if (text.size() > kMostBytes) {
    throw input_error("text: got {} bytes, expected at most {}; shorten it", text.size(), kMostBytes);
  }
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TextEncoder> encoder, const TokenizerOptions& options,
                     const std::string& name)
    : encoder_(std::move(encoder)), options_(options) {
  if (options.context_length < 2) {
    throw input_error("{}: context_length is {}, expected 2 or more", name, options.context_length);
  }
  const auto check = [&](std::int64_t id) {
    if (id >= 0 && id < vocab_size()) return;
    throw input_error("{}: got the id {} for a special token, expected one of its {} ids", name, id,
                      vocab_size());
  };
  if (options.sot != TokenizerOptions::kNone) check(options.sot);
  check(options.eot);
  check(options.pad);
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<std::int64_t> Tokenizer::encode_without_padding(std::string_view text) const {
  check_length(text);
  std::vector<std::int64_t> ids;
  encoder_->encode(text, ids);
  return ids;
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text) const {
  check_length(text);
  const std::size_t length = static_cast<std::size_t>(options_.context_length);
  std::vector<std::int64_t> ids;
  if (options_.sot != TokenizerOptions::kNone) ids.push_back(options_.sot);
  encoder_->encode(text, ids);
  ids.push_back(options_.eot);
  if (ids.size() > length) {
    if (options_.overflow == Overflow::kError) {
      constexpr std::size_t kShown = 80;
      throw input_error("text '{}{}' has {} tokens, expected at most {}; shorten it", text.substr(0, kShown),
                        text.size() > kShown ? "..." : "", ids.size(), length);
    }
    ids[length - 1] = options_.eot;
  }
  ids.resize(length, options_.pad);
  return ids;
}

std::int64_t Tokenizer::vocab_size() const {
  return encoder_->vocab_size();
}

}  // namespace sdsclip

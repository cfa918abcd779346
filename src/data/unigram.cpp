#include "unigram.h"

#include <algorithm>

namespace sdsclip {
namespace {

constexpr double kUnknownPenalty = 10.0;  // below the least likely piece

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

}  // namespace

/// The best segmentation that ends at a position of the word.
struct Unigram::Step {
  bool reached = false;
  double score = 0;
  std::size_t from = 0;
  std::int64_t id = 0;

  void offer(double other, std::size_t start, std::int64_t piece) {
    if (!reached || other > score) *this = {true, other, start, piece};
  }
};

Unigram::Unigram(const std::vector<Piece>& pieces, std::int64_t unknown, std::vector<std::int64_t> byte_ids)
    : unknown_(unknown), byte_ids_(std::move(byte_ids)) {
  double least = pieces.empty() ? 0 : pieces.front().score;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const Piece& piece = pieces[id];
    pieces_[piece.text] = {static_cast<std::int64_t>(id), piece.score};
    longest_ = std::max(longest_, piece.text.size());
    least = std::min(least, piece.score);
  }
  unknown_score_ = least - kUnknownPenalty;
}

void Unigram::encode(std::string_view word, std::vector<std::int64_t>& ids) const {
  std::vector<Step> best(word.size() + 1);
  best[0].reached = true;
  for (std::size_t start = 0, next = 0; start < word.size(); start = next) {
    next = start + 1;
    while (next < word.size() && !starts_character(word[next])) ++next;
    bool has_character = false;
    const std::size_t last = std::min(word.size(), start + longest_);
    for (std::size_t end = next; end <= last; ++end) {
      if (end < word.size() && !starts_character(word[end])) continue;
      const auto found = pieces_.find(word.substr(start, end - start));
      if (found == pieces_.end()) continue;
      best[end].offer(best[start].score + found->second.score, start, found->second.id);
      has_character = has_character || end == next;
    }
    if (!has_character) best[next].offer(best[start].score + unknown_score_, start, unknown_);
  }

  std::vector<std::size_t> ends;
  for (std::size_t at = word.size(); at > 0; at = best[at].from) ends.push_back(at);
  std::reverse(ends.begin(), ends.end());
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (best[ends[i]].id != unknown_) {
      ids.push_back(best[ends[i]].id);
      continue;
    }
    const std::size_t start = best[ends[i]].from;
    while (i + 1 < ends.size() && best[ends[i + 1]].id == unknown_) ++i;
    append_unknown(word.substr(start, ends[i] - start), ids);
  }
}

/// Unknown characters in a row give one id.
void Unigram::append_unknown(std::string_view text, std::vector<std::int64_t>& ids) const {
  const auto found = pieces_.find(text);
  if (found != pieces_.end()) {
    ids.push_back(found->second.id);
  } else if (byte_ids_.empty()) {
    ids.push_back(unknown_);
  } else {
    for (const char byte : text) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  }
}

}  // namespace sdsclip

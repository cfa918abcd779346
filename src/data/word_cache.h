#pragma once

#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace sdsclip {

/// The ids of words seen before, about 10 MB at most: captions repeat a few thousand words. Several threads may
/// use it at once.
class WordCache {
 public:
  /// Appends the ids of `word` to `ids`, which `encode()` does for a word that is not known yet.
  template <typename Encode>
  void append(const std::string& word, std::vector<std::int64_t>& ids, Encode&& encode) {
    {
      const std::shared_lock lock(mutex_);
      const auto found = ids_of_.find(word);
      if (found != ids_of_.end()) {
        ids.insert(ids.end(), found->second.begin(), found->second.end());
        return;
      }
    }
    constexpr std::size_t kMostWords = 1 << 16;
    constexpr std::size_t kLongestWord = 32;
    const std::ptrdiff_t before = std::ssize(ids);
    encode();
    if (word.size() > kLongestWord) return;
    const std::unique_lock lock(mutex_);
    if (ids_of_.size() < kMostWords) ids_of_.try_emplace(word, ids.begin() + before, ids.end());
  }

 private:
  std::shared_mutex mutex_;
  std::unordered_map<std::string, std::vector<std::int64_t>> ids_of_;
};

}  // namespace sdsclip

#pragma once

#include <cstddef>
#include <cstdint>

// Limits on data from outside; docs/security.md lists them. Beyond a limit a reader stops with one line that
// names the file and the record, or counts the record as bad (`data.on_bad_sample`).

namespace sdsclip {

inline constexpr std::size_t kMostCaptionBytes = std::size_t{1} << 20;       ///< per caption or image name
inline constexpr std::size_t kMostRowBytes = (std::size_t{1} << 24) - 1;     ///< per row of a table
inline constexpr std::uint64_t kMostTextFileBytes = std::uint64_t{1} << 40;  ///< per indexed text file
inline constexpr std::uint64_t kMostShards = 1'000'000;                      ///< per shard pattern
inline constexpr std::size_t kMostShardPath = 4096;                          ///< bytes of one shard's path
inline constexpr std::uint64_t kMostShardBytes = std::uint64_t{1} << 29;  ///< of all shards' paths together
inline constexpr std::size_t kMostCaptionsPerImage = 10'000;              ///< per sample
inline constexpr std::int64_t kBadRecordsAllowed = 10;  ///< at opening, whatever `data.max_bad` says

}  // namespace sdsclip

#pragma once

#include <cstddef>
#include <cstdint>

// What data from outside may ask for at most. Beyond a limit a reader stops with one line that names the file
// and the record, or counts the record as bad (`data.on_bad_sample`). `docs/security.md` lists them.

namespace sdsclip {

inline constexpr std::size_t kMostCaptionBytes = std::size_t{1} << 20;       ///< of one caption or image name
inline constexpr std::size_t kMostRowBytes = (std::size_t{1} << 24) - 1;     ///< of one row of a table
inline constexpr std::uint64_t kMostTextFileBytes = std::uint64_t{1} << 40;  ///< of an indexed table or JSON
inline constexpr std::uint64_t kMostShards = 1'000'000;  ///< that a shard pattern may expand to
inline constexpr std::size_t kMostShardPath = 4096;      ///< bytes of one shard's path
inline constexpr std::uint64_t kMostShardBytes = std::uint64_t{1} << 29;  ///< of all shards' paths together
inline constexpr std::size_t kMostCaptionsPerImage = 10'000;              ///< of one sample
inline constexpr std::int64_t kBadRecordsAllowed = 10;  ///< left out at opening whatever `data.max_bad` says

}  // namespace sdsclip

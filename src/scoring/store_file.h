#pragma once

#include <filesystem>

#include "sdsclip/scoring/score_store.h"
#include "sqlite.h"

// How `scores.sqlite` comes into being, and what is checked before one is trusted.
namespace sdsclip {

/// Writes a store with its header and no results. It is built under another name and then renamed, so that a
/// store without its header is never seen.
void create_store(const std::filesystem::path& path, const RunIdentity& identity, const CaseTable& table);

/// Throws `Error(kInput)` on a file that was cut short. To be called before the file is opened.
void check_length(const std::filesystem::path& path);

/// Throws `Error(kInput)` where the file is no score store of this version, or is damaged.
void check_format(Database& database, const std::filesystem::path& path);

/// `check_format`, and throws an error that names the setting which differs from this run's, with both
/// values: `kInput` where the store is only judged, else `kUsage`.
void check_store(Database& database, const std::filesystem::path& path, const RunIdentity& identity,
                 const CaseTable& table, StoreOpening opening);

RunIdentity read_identity(Database& database, const std::filesystem::path& path);

/// The digest of the case table that the store was made for.
std::string read_table_digest(Database& database, const std::filesystem::path& path);

}  // namespace sdsclip

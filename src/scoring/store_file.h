#pragma once

#include "sdsclip/base/filesystem.h"
#include "sdsclip/scoring/score_store.h"
#include "sqlite.h"

// Creates `scores.sqlite`, and checks one before it is trusted.
namespace sdsclip {

/// Writes a store with its header and no results. It is built under another name and renamed, so a store
/// without its header never exists.
void create_store(const fs::path& path, const RunIdentity& identity, const CaseTable& table);

/// Throws `Error(kInput)` if the file is truncated. Call it before the file is opened.
void check_length(const fs::path& path);

/// Throws `Error(kInput)` if the file is not a score store of this version, or is damaged.
void check_format(Database& database, const fs::path& path);

/// Calls `check_format`, and throws an error with the setting and both values if a setting differs from this
/// run's: `kInput` if the store is only judged, else `kUsage`.
void check_store(Database& database, const fs::path& path, const RunIdentity& identity,
                 const CaseTable& table, StoreOpening opening);

RunIdentity read_identity(Database& database, const fs::path& path);

/// The digest of the case table that the store belongs to.
std::string read_table_digest(Database& database, const fs::path& path);

}  // namespace sdsclip

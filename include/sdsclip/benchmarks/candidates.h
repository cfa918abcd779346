#pragma once

#include <filesystem>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The benchmark `captions`: does an image's own caption score best among candidates made from it? Its scores
/// are the targets of L_rank (losses/ranking.h), and its one metric, `captions/own_first`, says how far to
/// trust them. A training set is no test set, so it is not among `all_benchmarks()`; its cases come from
/// `load_candidates` alone.
const Benchmark& captions_benchmark();

/// The cases of a table of candidates: a row an image and its caption, with the columns of
/// `open_table_captions`: `filepath` below `options.data`, `title`, and `neg_caption`, a text or a list. A
/// case's captions are the own one and then the candidates, each once; rows of the same image and caption are
/// one case; rows without a candidate are left out.
///
/// In memory is about a kilobyte a caption. Throws `Error(kInput)` that names the table's row where an image
/// is missing (unless `options.skip_missing`), and where the table holds no candidate at all.
CaseTable load_candidates(const LoadOptions& options, const std::filesystem::path& table);

}  // namespace sdsclip

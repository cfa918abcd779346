#pragma once

#include "sdsclip/base/filesystem.h"
#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The benchmark `captions`: does an image's own caption score best among candidates made from it? Its scores
/// are the targets of L_rank (losses/ranking.h). Its only metric, `captions/own_first`, shows how reliable
/// they are. It is not among `all_benchmarks()`, because a training set is not a test set; `load_candidates`
/// makes its cases.
const Benchmark& captions_benchmark();

/// Reads the cases from a table of candidates with one row per image and caption. Its columns are those of
/// `open_table_captions`: `filepath` below `options.data`, `title`, and `neg_caption` (a text or a list). A
/// case's captions are its own caption and then the candidates, each once. Rows with the same image and
/// caption form one case. Rows without a candidate are left out.
///
/// Memory is about 1 kB per caption. Throws `Error(kInput)` that names the table's row if an image is missing
/// (unless `options.skip_missing`), and if the table holds no candidate at all.
CaseTable load_candidates(const LoadOptions& options, const fs::path& table);

}  // namespace sdsclip

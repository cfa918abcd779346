#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// i64[B, L] to i64[B, l], `ids` without the columns behind the end of the longest text, where the tower
/// gives the same embeddings without them (`BundleTokenizer::any_length`, to float32's rounding); else `ids`
/// itself. Most captions end after a fifth of the context.
at::Tensor cut_padding(const at::Tensor& ids, const BundleTokenizer& tokenizer);

/// i64[B, context_length]: texts that fill the context, which take a tower the most time and memory.
at::Tensor longest_texts(std::int64_t count, const BundleTokenizer& tokenizer);

}  // namespace sdsclip

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// Cuts `ids` i64[B, L] to i64[B, l]: removes the columns after the end of the longest text if the tower
/// gives the same embeddings without them, within float32 rounding (`BundleTokenizer::any_length`). Otherwise
/// returns `ids`. Most captions use only a fifth of the context.
at::Tensor cut_padding(const at::Tensor& ids, const BundleTokenizer& tokenizer);

/// i64[count, context_length]: texts that fill the context, the most expensive input of a text tower.
at::Tensor longest_texts(std::int64_t count, const BundleTokenizer& tokenizer);

}  // namespace sdsclip

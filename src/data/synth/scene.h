#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sdsclip/base/random.h"

namespace sdsclip::synth {

inline constexpr std::array<std::string_view, 8> kColours = {"red",    "green",  "blue", "yellow",
                                                             "purple", "orange", "pink", "cyan"};
inline constexpr std::array<std::string_view, 5> kShapes = {"circle", "square", "triangle", "cross", "ring"};
inline constexpr std::array<std::string_view, 2> kSizes = {"small", "large"};
inline constexpr std::array<std::string_view, 2> kBackgrounds = {"light", "dark"};
inline constexpr int kImageSize = 64;  // pixels per side

enum class Split { kTrain, kValidation, kTest };

/// The position of the first object relative to the second. `kAnd` leaves it open.
enum class Relation {
  kNone,
  kAnd,
  kLeft,
  kRight,
  kAbove,
  kBelow,
  kAboveLeft,
  kAboveRight,
  kBelowLeft,
  kBelowRight
};

/// What is known of a relation.
struct RelationFacts {
  std::string_view name;  ///< in the COCO file's `scene`
  double right = 0;       ///< -1, 0 or 1: on which side of the second object the first one is
  double down = 0;
  Relation inverse = Relation::kNone;
  std::array<std::string_view, 3> phrases;  ///< its words in captions
};
const RelationFacts& facts_of(Relation relation);

struct SceneObject {
  std::size_t colour = 0;  ///< index into kColours, and so on
  std::size_t shape = 0;
  std::size_t size = 0;
  double x = 0;  ///< centre, in pixels
  double y = 0;
};

struct Scene {
  std::size_t background = 0;
  std::vector<SceneObject> objects;  ///< one or two; two differ in colour and in shape
  Relation relation = Relation::kNone;
  int place = -1;                ///< of a single object, 0 to 8; -1: two objects
  std::uint64_t noise_seed = 0;  ///< seed of the grain on every pixel
};

/// The split of a two-object combination, the same for every seed. It depends on the unordered pairs of
/// colours and shapes, so "red circle, blue square" and "blue circle, red square" are in the same split.
Split split_of_pair(const SceneObject& a, const SceneObject& b);

/// Each such combination has one canonical binding: the colour that comes first in `kColours` goes with the
/// shape that comes first in `kShapes`. A model that sees only canonical scenes need not learn binding,
/// because the sets of colours and shapes determine it.
bool is_canonical_binding(const SceneObject& a, const SceneObject& b);

/// A single object's place in the image: one of 3 x 3, row by row from the upper left.
inline constexpr int kPlaces = 9;

/// The split of a single object, by colour, shape, size, background and place. Training shows most of the 36
/// variants of each coloured shape, so no variant is tied to a shape.
Split split_of_single(const Scene& scene);

Scene draw_single(Split split, RandomSequence& random);

/// Draws a single object of the given coloured shape.
Scene draw_single_of(Split split, std::size_t colour, std::size_t shape, RandomSequence& random);

/// Draws two objects in one of `relations`, with equal probability.
Scene draw_pair(Split split, std::span<const Relation> relations, RandomSequence& random);

/// The same scene with this attribute of the two objects swapped.
Scene with_swapped(const Scene& scene, std::size_t SceneObject::*attribute);
/// The same scene with the objects' places swapped, so that the relation is reversed.
Scene with_places_swapped(const Scene& scene);

}  // namespace sdsclip::synth

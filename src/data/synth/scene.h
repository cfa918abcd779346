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
inline constexpr int kImageSize = 64;  // pixels a side

enum class Split { kTrain, kValidation, kTest };

/// Where the first object is as seen from the second. `kAnd` leaves it open.
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

/// "left of" and its kin by name, as written in the COCO file's `scene`.
std::string_view relation_name(Relation relation);
Relation inverse(Relation relation);

struct SceneObject {
  int colour = 0;  ///< index into kColours, and so on
  int shape = 0;
  int size = 0;
  double x = 0;  ///< centre, in pixels
  double y = 0;
};

struct Scene {
  int background = 0;
  std::vector<SceneObject> objects;  ///< one or two; two differ in colour and in shape
  Relation relation = Relation::kNone;
  int place = -1;                ///< of a single object, 0 to 8
  std::uint64_t noise_seed = 0;  ///< of the faint grain on every pixel
};

/// The split of a two-object combination, the same for every seed: by the unordered pairs of colours and of
/// shapes, so that "red circle, blue square" and "blue circle, red square" are always together.
Split split_of_pair(int colour_a, int colour_b, int shape_a, int shape_b);

/// Of the two bindings of such a combination one is canonical: the colour that comes first in `kColours` goes
/// with the shape that comes first in `kShapes`. A model that sees canonical scenes alone has no need to
/// learn binding: which colours and which shapes there are tells it all.
bool is_canonical_binding(const SceneObject& a, const SceneObject& b);

/// Where in the image a single object is: one of 3 x 3 places, row by row from the upper left.
inline constexpr int kPlaces = 9;

/// The split of a single object: by colour, shape, size, background and place together. Each coloured shape
/// is seen with most of its 36 variants in training, so none of them goes with it.
Split split_of_single(int colour, int shape, int size, int background, int place);

Scene draw_single(Split split, RandomSequence& random);

/// A single object of that coloured shape.
Scene draw_single_of(Split split, int colour, int shape, RandomSequence& random);

/// Two objects in one of `relations`, evenly.
Scene draw_pair(Split split, std::span<const Relation> relations, RandomSequence& random);

/// The same places and sizes with colours exchanged between the two objects.
Scene with_colours_swapped(const Scene& scene);
/// The objects exchange places, so that the relation holds the other way round.
Scene with_places_swapped(const Scene& scene);
Scene with_sizes_swapped(const Scene& scene);

}  // namespace sdsclip::synth

#pragma once

#include <string>

#include "scene.h"

namespace sdsclip::synth {

/// A true caption of the scene in one of many wordings. The attributes, the order of the objects, the
/// relation's words and the sentence are drawn. Half of the captions start with a capital and end with a full
/// stop, as in COCO.
std::string varied_caption(const Scene& scene, RandomSequence& random);

/// The wording of captions that must differ in one thing only.
struct Wording {
  bool sizes = false;                ///< "a small red circle"
  std::size_t relation_variant = 0;  ///< which of the relation's phrases
  std::size_t sentence = 0;          ///< which sentence frame
};

/// Draws a wording; `relation` decides which sentences fit.
Wording draw_wording(Relation relation, RandomSequence& random);

/// A true caption such as "a red circle is to the left of a blue square": lower case, no full stop, the first
/// object first.
std::string worded_caption(const Scene& scene, const Wording& wording);

/// An object's name, such as "a red circle" or "the small red circle".
std::string noun_phrase(const SceneObject& object, bool with_size, bool definite = false);

}  // namespace sdsclip::synth

#pragma once

#include <string>

#include "scene.h"

namespace sdsclip::synth {

/// A caption that is true of the scene, in one of many wordings: which attributes it names, the order of the
/// objects, the words of the relation and the sentence around them are drawn. Capitalised and closed with a
/// full stop half of the time, as COCO's are.
std::string varied_caption(const Scene& scene, RandomSequence& random);

/// The fixed parts of a wording, for captions that must differ in one thing alone.
struct Wording {
  bool sizes = false;        ///< "a small red circle"
  int relation_variant = 0;  ///< which of the relation's phrases
  int sentence = 0;          ///< which sentence around them
};

/// Draws a wording; `relation` says which kinds of sentence fit.
Wording draw_wording(Relation relation, RandomSequence& random);

/// "a red circle is to the left of a blue square": true of the scene, lower case, no full stop, the first
/// object first.
std::string worded_caption(const Scene& scene, const Wording& wording);

/// "a red circle", "the small red circle"
std::string noun_phrase(const SceneObject& object, bool with_size, bool definite = false);

/// "to the left of"
std::string_view relation_phrase(Relation relation, int variant);

}  // namespace sdsclip::synth

#pragma once

#include <string_view>

namespace sdsclip {

/// Whether ARO's published VG-Relation score leaves the relation out, because its two captions may both be
/// true or say the same: the 157 names that the authors' notebook "Replicate ARO! VG-Relation,
/// VG-Attribution" drops.
bool is_left_out_of_vg_relation(std::string_view relation);

}  // namespace sdsclip

#pragma once

#include <string_view>

namespace sdsclip {

/// Whether ARO's published VG-Relation score leaves the relation out, because both captions may be true or
/// mean the same. These are the 157 names that the authors' notebook "Replicate ARO! VG-Relation,
/// VG-Attribution" drops.
bool is_left_out_of_vg_relation(std::string_view relation);

}  // namespace sdsclip

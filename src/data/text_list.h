#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// The texts in a table's cell: a Python list of string literals (`['a', "b's"]`, as pandas writes lists), or
/// one plain text; none if the cell is empty. `where` names the cell in errors. Throws `Error(kInput)` if a
/// list does not parse.
std::vector<std::string> parse_text_list(std::string_view cell, std::string_view where);

}  // namespace sdsclip

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// The texts in a cell of a table: a Python list of string literals (`['a', "b's"]`, as pandas writes lists),
/// or one plain text; none where the cell is empty. `where` stands for the cell in errors. Throws
/// `Error(kInput)` on a list that does not parse.
std::vector<std::string> parse_text_list(std::string_view cell, std::string_view where);

}  // namespace sdsclip

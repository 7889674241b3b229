// store/local_path.h: object keys as paths below a directory, and back.
// Contract:   pure. One part of a key is one name; '%' and a leading '.' are written %25 and %2E, so names that begin with a
//             dot are never objects (".tmp" holds unfinished ones). Nothing that check_key() allows leaves the directory.
// Tests:      store/local_path_test.cc
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::store {

/// "a/.b" -> "a/%2Eb". For whole keys and for prefixes that end in '/' (the '/' is kept).
[[nodiscard]] std::string path_of_key(std::string_view key);
/// One name -> one part of a key; empty for names that no key gives (they are not ours).
[[nodiscard]] std::optional<std::string> key_part_of_name(std::string_view name);
/// "a/b/c" -> "a/b"; "a" -> ".", "/a" -> "/".
[[nodiscard]] std::string parent_path(std::string_view path);

}  // namespace weir::store

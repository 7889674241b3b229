#include "store/local_path.h"

namespace weir::store {

std::string path_of_key(std::string_view key) {
  std::string path;
  path.reserve(key.size() + 8);
  bool at_start = true;
  for (const char c : key) {
    if (c == '%') {
      path += "%25";
    } else if (c == '.' && at_start) {
      path += "%2E";
    } else {
      path += c;
    }
    at_start = c == '/';
  }
  return path;
}

std::optional<std::string> key_part_of_name(std::string_view name) {
  if (name.empty() || name.front() == '.') return std::nullopt;
  std::string part;
  part.reserve(name.size());
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '%') {
      part += name[i];
      continue;
    }
    const std::string_view escape = name.substr(i, 3);
    if (escape == "%25") {
      part += '%';
    } else if (escape == "%2E" && i == 0) {
      part += '.';
    } else {
      return std::nullopt;
    }
    i += 2;
  }
  if (part == "." || part == "..") return std::nullopt;
  return part;
}

std::string parent_path(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(slash == 0 ? path.substr(0, 1) : path.substr(0, slash));
}

}  // namespace weir::store

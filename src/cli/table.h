// cli/table.h: rows of one answer, as aligned text for people and as objects for programs.
// Contract:   a column's name is its JSON key; its text title is the same in capitals with '-' for '_', so that `awk` can split
//             the line at spaces: no title and no empty cell breaks the columns (an absent value is '-' in text, null in JSON).
// Tests:      cli/table_test.cc
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct Cell {
  enum class Kind : std::uint8_t { text, number, null };
  Kind kind = Kind::null;
  std::string text;

  Cell() = default;
  Cell(std::string_view value) : kind(Kind::text), text(value) {}
  Cell(const char* value) : kind(Kind::text), text(value) {}
  Cell(const std::string& value) : kind(Kind::text), text(value) {}
  Cell(bool value) : kind(Kind::number), text(value ? "true" : "false") {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Cell(T value) : kind(Kind::number), text(std::to_string(value)) {}
  Cell(double value, int digits);
  template <class T>
  Cell(const std::optional<T>& value) {
    if (value) *this = Cell(*value);
  }
};

class Table {
 public:
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> row);
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  /// A title line and a line per row; the last column is not padded.
  [[nodiscard]] std::string text() const;
  /// An array of objects.
  [[nodiscard]] std::string json() const;
  /// The given rows' object members of row `i`, without braces, for callers that add members of their own.
  [[nodiscard]] std::string json_members(std::size_t i) const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace weir::cli

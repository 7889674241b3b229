#include "cli/table.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/ensure.h"
#include "cli/output.h"

namespace weir::cli {
namespace {

std::string title_of(const std::string& column) {
  std::string title;
  for (const char c : column) title.push_back(c == '_' ? '-' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return title;
}

std::string shown(const Cell& cell) { return cell.kind == Cell::Kind::null || cell.text.empty() ? "-" : cell.text; }

}  // namespace

Cell::Cell(double value, int digits) : kind(Kind::number), text(fmt::format("{:.{}f}", value, digits)) {}

void Table::add(std::vector<Cell> row) {
  ENSURE(row.size() == columns_.size(), "a row of {} cells for {} columns", row.size(), columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = columns_[c].size();
    for (const auto& row : rows_) width = std::max(width, shown(row[c]).size());
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](auto cell_text) {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::string cell = cell_text(c);
      out += cell;
      if (c + 1 < columns_.size()) out.append(widths[c] - cell.size() + 2, ' ');
    }
    out.push_back('\n');
  };
  line([&](std::size_t c) { return title_of(columns_[c]); });
  for (const auto& row : rows_) line([&](std::size_t c) { return shown(row[c]); });
  return out;
}

std::string Table::json_members(std::size_t i) const {
  std::string out;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const Cell& cell = rows_[i][c];
    out += fmt::format("{}{}:{}", c == 0 ? "" : ",", json_string(columns_[c]),
                       cell.kind == Cell::Kind::null     ? "null"
                       : cell.kind == Cell::Kind::number ? cell.text
                                                         : json_string(cell.text));
  }
  return out;
}

std::string Table::json() const {
  std::string out = "[";
  for (std::size_t i = 0; i < rows_.size(); ++i) out += fmt::format("{}{{{}}}", i == 0 ? "" : ",", json_members(i));
  return out + "]";
}

}  // namespace weir::cli

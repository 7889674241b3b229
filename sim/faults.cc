#include "sim/faults.h"

#include <charconv>
#include <iterator>

#include <fmt/format.h>

namespace weir::sim {
namespace {

constexpr std::array<std::string_view, fault_count> fault_names = {
#define WEIR_SIM_X(identifier, name) name,
    WEIR_SIM_FAULTS(WEIR_SIM_X)
#undef WEIR_SIM_X
};
constexpr std::array<std::string_view, crash_point_count> crash_point_names = {
#define WEIR_SIM_X(identifier, name) name,
    WEIR_SIM_CRASH_POINTS(WEIR_SIM_X)
#undef WEIR_SIM_X
};

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  std::size_t i = 0;
  while (i < N && names[i] != name) ++i;
  return i;
}

}  // namespace

std::string_view to_string(Fault fault) { return fault_names.at(static_cast<std::size_t>(fault)); }
std::string_view to_string(CrashPoint point) { return crash_point_names.at(static_cast<std::size_t>(point)); }

std::uint64_t FaultTable::cases(std::string_view name) const {
  const auto it = cases_.find(std::string(name));
  return it == cases_.end() ? 0 : it->second;
}

void FaultTable::add(const FaultTable& other) {
  for (std::size_t i = 0; i < fault_count; ++i) faults_[i] += other.faults_[i];
  for (std::size_t i = 0; i < crash_point_count; ++i) crashes_[i] += other.crashes_[i];
  for (const auto& [name, times] : other.cases_) cases_[name] += times;
}

std::vector<std::string> FaultTable::missing() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < fault_count; ++i) {
    if (faults_[i] == 0) names.emplace_back(fault_names[i]);
  }
  for (std::size_t i = 0; i < crash_point_count; ++i) {
    if (crashes_[i] == 0) names.emplace_back(crash_point_names[i]);
  }
  for (const auto& [name, times] : cases_) {
    if (times == 0) names.push_back(name);
  }
  return names;
}

std::string FaultTable::render() const {
  std::string out;
  const auto line = [&out](std::string_view name, std::uint64_t times) {
    fmt::format_to(std::back_inserter(out), "{:<58} {:>12}\n", name, times);
  };
  for (std::size_t i = 0; i < fault_count; ++i) line(fault_names[i], faults_[i]);
  for (std::size_t i = 0; i < crash_point_count; ++i) line(crash_point_names[i], crashes_[i]);
  for (const auto& [name, times] : cases_) line(name, times);
  return out;
}

FaultTable FaultTable::parse(std::string_view text) {
  FaultTable table;
  while (!text.empty()) {
    const std::size_t line_end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, line_end);
    text.remove_prefix(std::min(line_end + 1, text.size()));
    const std::size_t number_at = line.find_last_of(' ');
    if (number_at == std::string_view::npos) continue;
    std::uint64_t times = 0;
    std::from_chars(line.data() + number_at + 1, line.data() + line.size(), times);
    const std::string_view name = line.substr(0, line.find_last_not_of(' ', number_at) + 1);
    if (const std::size_t fault = index_of(fault_names, name); fault < fault_count) {
      table.faults_[fault] += times;
    } else if (const std::size_t point = index_of(crash_point_names, name); point < crash_point_count) {
      table.crashes_[point] += times;
    } else {
      table.cases_[std::string(name)] += times;
    }
  }
  return table;
}

}  // namespace weir::sim

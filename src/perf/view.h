// perf/view.h: what a run looks like while it goes on: a line per interval, or a view that redraws itself.
// Limits:     history_max columns of the view's curves.
#pragma once

#include <cstdio>
#include <deque>

#include "perf/engine.h"

namespace weir::perf {

class View {
 public:
  View(bool live, std::FILE* out) : live_(live), out_(out) {}
  void begin(double rate, double record_bytes);
  void show(const Interval& interval);

 private:
  static constexpr std::size_t history_max = 60;
  void line(const Interval& interval);
  void redraw(const Interval& interval);

  bool live_;
  std::FILE* out_;
  std::string headline_;
  std::deque<Interval> history_;
  std::size_t drawn_lines_ = 0;
};

}  // namespace weir::perf

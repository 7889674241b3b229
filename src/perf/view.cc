#include "perf/view.h"

#include <algorithm>
#include <functional>

#include <fmt/core.h>

namespace weir::perf {
namespace {

double rate(std::uint64_t count, double seconds) { return static_cast<double>(count) / std::max(seconds, 1e-9); }
std::string ms(const std::optional<std::int64_t>& us) {
  return us ? fmt::format("{:.2f}", static_cast<double>(*us) / 1e3) : "-";
}
std::string max_ms(const Summary& s) { return s.count == 0 ? "-" : fmt::format("{:.2f}", static_cast<double>(s.max_us) / 1e3); }

std::string curve(const std::deque<Interval>& history, const std::function<double(const Interval&)>& value) {
  static constexpr const char* blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double top = 0;
  for (const Interval& interval : history) top = std::max(top, value(interval));
  std::string out;
  for (const Interval& interval : history) out += blocks[top <= 0 ? 0 : static_cast<int>(value(interval) / top * 8)];
  return out;
}

}  // namespace

void View::begin(double rate_asked, double record_bytes) {
  headline_ = rate_asked > 0 ? fmt::format("{:.0f} records/s asked, {:.1f} MB/s", rate_asked, rate_asked * record_bytes / 1e6)
                             : "as fast as the clients can";
  history_.clear();
  drawn_lines_ = 0;
  std::fputs(fmt::format("\n{}\n", headline_).c_str(), out_);
  if (!live_)
    std::fputs(
        "    TIME PHASE     IN-REC/S  IN-MB/S OUT-REC/S OUT-MB/S  PRODUCE-P50     P99     MAX  E2E-P50     P99     MAX  "
        "BACKLOG FAILED\n",
        out_);
}

void View::show(const Interval& interval) {
  if (!live_) {
    line(interval);
  } else {
    redraw(interval);
  }
  std::fflush(out_);
}

void View::line(const Interval& i) {
  std::fputs(
      fmt::format("{:>8.1f} {:<8} {:>9.0f} {:>8.1f} {:>9.0f} {:>8.1f} {:>12} {:>7} {:>7} {:>8} {:>7} {:>7} {:>8} {:>6}\n",
                  i.at_seconds, to_string(i.phase), rate(i.delivered, i.seconds), rate(i.delivered_bytes, i.seconds) / 1e6,
                  rate(i.consumed, i.seconds), rate(i.consumed_bytes, i.seconds) / 1e6, ms(i.produce.p50_us),
                  ms(i.produce.p99_us), max_ms(i.produce), ms(i.end_to_end.p50_us), ms(i.end_to_end.p99_us),
                  max_ms(i.end_to_end), std::max<std::int64_t>(0, i.backlog), i.failed)
          .c_str(),
      out_);
}

void View::redraw(const Interval& i) {
  history_.push_back(i);
  if (history_.size() > history_max) history_.pop_front();
  std::string out;
  if (drawn_lines_ > 0) out = fmt::format("\x1b[{}A", drawn_lines_);
  std::size_t lines = 0;
  const auto add = [&](const std::string& text) {
    out += "\x1b[2K" + text + "\n";
    ++lines;
  };
  add(fmt::format("{:>6.0f} s  {}", i.at_seconds, to_string(i.phase)));
  add(fmt::format("in   {:>9.1f} MB/s {:>10.0f} records/s  {}", rate(i.delivered_bytes, i.seconds) / 1e6,
                  rate(i.delivered, i.seconds),
                  curve(history_, [](const Interval& x) { return rate(x.delivered_bytes, x.seconds); })));
  add(fmt::format("out  {:>9.1f} MB/s {:>10.0f} records/s  {}", rate(i.consumed_bytes, i.seconds) / 1e6,
                  rate(i.consumed, i.seconds),
                  curve(history_, [](const Interval& x) { return rate(x.consumed_bytes, x.seconds); })));
  add(fmt::format("produce     p50 {:>8} p99 {:>8} max {:>8} ms  {}", ms(i.produce.p50_us), ms(i.produce.p99_us),
                  max_ms(i.produce), curve(history_, [](const Interval& x) { return static_cast<double>(x.produce.max_us); })));
  add(fmt::format("end to end  p50 {:>8} p99 {:>8} max {:>8} ms  {}", ms(i.end_to_end.p50_us), ms(i.end_to_end.p99_us),
                  max_ms(i.end_to_end),
                  curve(history_, [](const Interval& x) { return static_cast<double>(x.end_to_end.max_us); })));
  add(fmt::format("backlog {} records, failed {}", std::max<std::int64_t>(0, i.backlog), i.failed));
  drawn_lines_ = lines;
  std::fputs(out.c_str(), out_);
}

}  // namespace weir::perf

#include "cli/link_news.hpp"

#include <cstdio>

namespace kuilt::cli {
namespace {

void tell(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

}  // namespace

void LinkNews::take(const ClientEvent& event) {
  switch (event.kind) {
    case ClientEventKind::connected:
      was_connected_ = true;
      refusals_.clear();
      if (wanted_ == Wanted::everything) {
        tell("connected to " + event.text + " (" + event.endpoint + ")");
      }
      return;
    case ClientEventKind::disconnected:
      tell("lost " + event.endpoint + ": " + event.text + "; trying the next server");
      return;
    case ClientEventKind::resumed:
      tell("resumed on " + event.text + " at " + std::to_string(event.at.index.value()) +
           " after " + text_of(event.after) + ", nothing missed");
      return;
    case ClientEventKind::refused:
      if (std::exchange(refusals_[event.endpoint], event.text) == event.text) return;
      tell("no link to " + event.endpoint + ": " + event.text + "; trying on");
      return;
    case ClientEventKind::feed_broken:
      tell("feed of " + event.endpoint + " refused: " + event.text);
      return;
  }
}

std::string text_of(std::chrono::nanoseconds duration) {
  const double milliseconds = std::chrono::duration<double, std::milli>(duration).count();
  char text[32];
  if (milliseconds < 9.95) {
    std::snprintf(text, sizeof text, "%.1f ms", milliseconds);
  } else if (milliseconds < 9'999.5) {
    std::snprintf(text, sizeof text, "%.0f ms", milliseconds);
  } else {
    std::snprintf(text, sizeof text, "%.0f s", milliseconds / 1000);
  }
  return text;
}

}  // namespace kuilt::cli

#include "cli/output.hpp"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "wire/utf8.hpp"

namespace kuilt::cli {
namespace {

volatile std::sig_atomic_t interrupt_number = 0;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    case '\\': out += "\\\\"; return;
  }
  const auto byte = static_cast<unsigned char>(c);
  out += "\\x";
  out += "0123456789abcdef"[byte >> 4U];
  out += "0123456789abcdef"[byte & 15U];
}

}  // namespace

bool put_line(std::string_view line) {
  std::string whole(line);
  whole += '\n';
  const bool written = std::fwrite(whole.data(), 1, whole.size(), stdout) == whole.size();
  return written && std::fflush(stdout) == 0;
}

bool reader_has_gone() {
  pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return ::poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLNVAL)) != 0;
}

std::string escaped(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::size_t size = wire::utf8_sequence_size(bytes);
    if (size == 0 || is_control(bytes.front()) || bytes.front() == '\\') {
      append_escaped(out, bytes.front());
      bytes.remove_prefix(1);
    } else {
      out += bytes.substr(0, size);
      bytes.remove_prefix(size);
    }
  }
  return out;
}

bool is_text(std::string_view bytes) {
  for (const char c : bytes) {
    if (is_control(c) && c != '\t' && c != '\n' && c != '\r') return false;
  }
  return wire::is_utf8(bytes);
}

void remember_interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int number) { interrupt_number = number; };
  ::sigemptyset(&action.sa_mask);  // No SA_RESTART: a read that waits ends.
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

int interrupt() { return interrupt_number; }

}  // namespace kuilt::cli

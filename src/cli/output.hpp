// output.hpp: what the commands share when they print, and when people stop them.
#pragma once

#include <string>
#include <string_view>

namespace kuilt::cli {

/// Writes a line to standard output at once. False, once nobody reads there any more: a clean end.
[[nodiscard]] bool put_line(std::string_view line);
/// Whether nobody reads standard output any more, found out without writing.
[[nodiscard]] bool reader_has_gone();

/// Bytes for a terminal and for one line of a pipe, and back again without loss: control
/// characters, backslashes and what is not UTF-8 become \n, \t, \\ or \xHH.
[[nodiscard]] std::string escaped(std::string_view bytes);
/// Whether the JSON form shows the bytes as text; others go out as base64 (docs/protocol.md).
[[nodiscard]] bool is_text(std::string_view bytes);

/// From now on SIGINT and SIGTERM are remembered, interrupt what waits for input, and end nothing.
void remember_interrupts();
/// The signal that came; 0 if none did.
[[nodiscard]] int interrupt();
inline constexpr int interrupted_status = 130;

}  // namespace kuilt::cli

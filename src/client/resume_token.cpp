#include <array>
#include <charconv>

#include "kuilt/committed.hpp"

namespace kuilt {
namespace {

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string ResumeToken::text() const {
  return cluster.text() + '.' + history.text() + '.' + std::to_string(position.index.value()) +
         '.' + std::to_string(position.term.value()) + '.' + std::to_string(digest);
}

std::optional<ResumeToken> ResumeToken::parse(std::string_view text) {
  std::array<std::string_view, 5> parts;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return std::nullopt;
    parts[i] = text.substr(0, dot);
    text.remove_prefix(dot + 1);
  }
  parts.back() = text;
  const auto cluster = ClusterId::parse(parts[0]);
  const auto history = HistoryId::parse(parts[1]);
  const auto index = number_of(parts[2]);
  const auto term = number_of(parts[3]);
  const auto digest = number_of(parts[4]);
  if (!cluster || !history || !index || !term || !digest) return std::nullopt;
  return ResumeToken{*cluster, *history, Position{Index(*index), Term(*term)}, *digest};
}

}  // namespace kuilt

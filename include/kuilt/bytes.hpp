// bytes.hpp: bytes to read (BytesView) and bytes to keep (Bytes).
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "kuilt/detail/check.hpp"

namespace kuilt {

/// Borrowed bytes, from a string, a literal or a span. Owns nothing.
class BytesView : public std::span<const std::byte> {
 public:
  constexpr BytesView() = default;
  constexpr BytesView(std::span<const std::byte> bytes) : span(bytes) {}
  constexpr BytesView(const std::byte* data, std::size_t size) : span(data, size) {}
  BytesView(std::string_view text)
      : span(reinterpret_cast<const std::byte*>(text.data()), text.size()) {}
  BytesView(const std::string& text) : BytesView(std::string_view(text)) {}
  BytesView(const char* text) : BytesView(std::string_view(text)) {}

  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(data()), size()};
  }
  [[nodiscard]] BytesView slice(std::size_t offset, std::size_t count) const {
    KUILT_CHECK(offset <= size() && count <= size() - offset);
    return {data() + offset, count};
  }
};

inline bool operator==(BytesView a, BytesView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

/// Immutable bytes that many hold at once: a pointer, a length, and a count of the holders.
/// Copying shares; slicing shares; nothing is copied unless `copy_of` says so.
///
/// Threads: distinct Bytes may be used by distinct threads, also when they share a buffer.
class Bytes {
 public:
  Bytes() = default;
  /// Takes over the text's storage. The usual way to freeze a buffer that was just encoded.
  explicit Bytes(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    view_ = BytesView(*owner);
    owner_ = std::move(owner);
  }
  [[nodiscard]] static Bytes copy_of(BytesView bytes) { return Bytes(std::string(bytes.text())); }

  [[nodiscard]] BytesView view() const { return view_; }
  operator BytesView() const { return view_; }
  [[nodiscard]] std::string_view text() const { return view_.text(); }
  [[nodiscard]] const std::byte* data() const { return view_.data(); }
  [[nodiscard]] std::size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }

  /// The same bytes, fewer of them, in the same buffer. Keeps the whole buffer alive.
  [[nodiscard]] Bytes slice(std::size_t offset, std::size_t count) const {
    return Bytes(owner_, view_.slice(offset, count));
  }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view_ == b.view_; }

 private:
  Bytes(std::shared_ptr<const void> owner, BytesView view)
      : owner_(std::move(owner)), view_(view) {}

  std::shared_ptr<const void> owner_;
  BytesView view_;
};

}  // namespace kuilt

#include "wire/wire_reader.hpp"

namespace kuilt::wire {

void Cursor::fail(std::string_view what, ErrorCode code) {
  if (error_) return;  // The first one is the cause.
  error_ = Error(code, "field " + std::string(field_) + " at byte " +
                           std::to_string(field_at_ - begin_) + ": " + std::string(what));
}

void Cursor::fail_missing(std::string_view name) {
  begin_field(name);
  fail("missing");
}

std::uint64_t Cursor::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(*at_++);
    if (shift == 63 && byte > 1) break;  // More than 64 bits.
    value |= (byte & 0x7fU) << shift;
    if (byte < 0x80U) return value;
  }
  fail(at_ == end_ ? "cut off" : "a varint of more than 64 bits");
  return 0;
}

std::uint64_t Cursor::fixed64() {
  if (remaining() < 8) {
    fail("cut off");
    return 0;
  }
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(*at_++) << (8 * i);
  return value;
}

BytesView Cursor::delimited() {
  const std::uint64_t size = varint();
  if (!failed() && size > remaining()) fail("longer than what is left");
  if (failed()) return {};
  const BytesView bytes(at_, static_cast<std::size_t>(size));
  at_ += size;
  return bytes;
}

void Cursor::skip(std::uint64_t type) {
  if (type == static_cast<std::uint64_t>(WireType::varint)) {
    varint();
  } else if (type == static_cast<std::uint64_t>(WireType::fixed64)) {
    fixed64();
  } else if (type == static_cast<std::uint64_t>(WireType::delimited)) {
    delimited();
  } else if (type == static_cast<std::uint64_t>(WireType::fixed32) && remaining() >= 4) {
    at_ += 4;
  } else {
    fail("no such wire type, or cut off");
  }
}

const std::byte* Cursor::enter(BytesView bytes) {
  KUILT_CHECK(bytes.data() + bytes.size() == at_);
  at_ = bytes.data();
  return std::exchange(end_, bytes.data() + bytes.size());
}

Bytes Cursor::kept(BytesView bytes) const {
  KUILT_CHECK(owner_ != nullptr);
  return owner_->slice(static_cast<std::size_t>(bytes.data() - owner_->data()), bytes.size());
}

}  // namespace kuilt::wire

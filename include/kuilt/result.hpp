// result.hpp: how kuilt reports an operation that can fail.
//
// Our own, so that public headers stay C++20 and an unhandled error shows our message.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "kuilt/detail/check.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/errors.hpp"

namespace kuilt {

/// Why an operation failed, and what each caller on the way up was doing.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, Effect effect, std::string what)
      : code_(code), effect_(effect), message_(std::move(what)) {}
  /// With the effect that is usual for the code.
  Error(ErrorCode code, std::string what) : Error(code, info(code).effect, std::move(what)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] Effect effect() const noexcept { return effect_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

  /// Puts the caller's task in front: "open log: read segment 7: bad checksum".
  Error within(std::string_view task) && {
    message_.insert(0, ": ").insert(0, task);
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  Effect effect_;
  std::string message_;
};

/// What `Result::or_throw` throws. kuilt itself throws nothing across its API.
class KUILT_API Failure : public std::runtime_error {
 public:
  explicit Failure(Error error)
      : std::runtime_error(std::string(name_of(error.code())) + ": " + error.message()),
        error_(std::move(error)) {}
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

/// A value, or the Error that stands in its place. Ignoring one is a compiler warning.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Pre: has_value().
  [[nodiscard]] T& operator*() & {
    KUILT_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& operator*() const& {
    KUILT_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& operator*() && {
    KUILT_CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  [[nodiscard]] T* operator->() { return &**this; }
  [[nodiscard]] const T* operator->() const { return &**this; }

  /// Pre: !has_value().
  [[nodiscard]] const Error& error() const& {
    KUILT_CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && {
    KUILT_CHECK(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

  /// The value, or a Failure that carries the Error. For programs that treat errors as exceptions.
  T or_throw() && {
    if (!has_value()) throw Failure(std::move(*this).error());
    return std::move(*std::get_if<0>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};
/// Success without a value.
struct Done {};
using Status = Result<Done>;  ///< Done, or why not.

}  // namespace kuilt

// overloaded.hpp: one handler per alternative of a variant; leaving one out does not compile.
#pragma once

namespace kuilt {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace kuilt

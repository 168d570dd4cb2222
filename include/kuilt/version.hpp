// version.hpp: which kuilt this is.
#pragma once

namespace kuilt {

inline constexpr const char* version = "0.1.0";  ///< MAJOR.MINOR.PATCH.

}  // namespace kuilt

// export.hpp: what libkuilt.so shows. Everything else in it is hidden, so that no library that is
// built into it meets one of the user's.
#pragma once

#define KUILT_API __attribute__((visibility("default")))
#define KUILT_LOCAL __attribute__((visibility("hidden")))  // Inside a class that is shown.

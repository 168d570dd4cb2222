// Another Boost than the one that kuilt was built with.
#pragma once

#define BOOST_VERSION 100000

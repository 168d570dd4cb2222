// A user with a Boost of their own, and symbols that ours has too, shown as widely as can be. Every
// socket of kuilt goes through the function of this name in its Boost: if it were this one, the
// process would end here.
#include <cstdio>
#include <cstdlib>

#include <boost/asio.hpp>
#include <boost/version.hpp>

static_assert(BOOST_VERSION == 100000);

namespace boost::asio::detail {

int epoll_reactor::register_descriptor(int descriptor, descriptor_state*&) {
  std::printf("kuilt called a Boost that is not its own, for descriptor %d\n", descriptor);
  std::fflush(stdout);
  std::_Exit(3);
}

}  // namespace boost::asio::detail

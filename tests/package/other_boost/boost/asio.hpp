// Of another Boost: the same names as in ours, other things behind them.
#pragma once

namespace boost::asio::detail {

class epoll_reactor {
 public:
  struct descriptor_state;
  int register_descriptor(int descriptor, descriptor_state*& data);
};

}  // namespace boost::asio::detail

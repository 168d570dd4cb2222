// The control of tools/check_exports.py: a library that shows what libkuilt.so never may.
#include <utility>
#include <vector>

namespace boost::asio {
int run() { return 1; }
}  // namespace boost::asio

namespace kuilt {
namespace raft {
int quorum() { return 2; }
}  // namespace raft
class ServerCluster {
  struct Impl {
    int summary() const;
  };
};
int ServerCluster::Impl::summary() const { return 3; }
int complaint_about(int options) { return options; }  // This one is the API.
}  // namespace kuilt

extern "C" int leaked_c() { return 4; }

template class std::vector<std::pair<int, int>>;

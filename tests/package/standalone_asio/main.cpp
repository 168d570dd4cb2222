// kuilt/asio.hpp over the Asio without Boost, in a program that has no other.
#define KUILT_ASIO_STANDALONE
#include "kuilt/asio.hpp"

#include <cstdio>

#include <asio/bind_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/use_future.hpp>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"

#ifdef BOOST_ASIO_VERSION
#error "kuilt brought Boost.Asio along"
#endif

int main() {
  auto cluster = kuilt::ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  cluster.start().or_throw();
  auto client = kuilt::ClusterClient::connect(cluster.endpoints()).or_throw();
  asio::io_context context;
  int committed = 0;
  kuilt::async_wait(client.propose("for a handler"),
                    asio::bind_executor(context, [&](const kuilt::Result<kuilt::Receipt>& receipt) {
                      committed += receipt ? 1 : 0;
                    }));
  context.run();
  auto future = kuilt::async_wait(client.propose("for a future"), asio::use_future);
  committed += future.get() ? 1 : 0;
  std::printf("committed: %d\n", committed);
  return 0;
}

// A learner that manages its own link, its own storage and its own place in the log.
// Usage: learner ws://host:port ID_OF_THAT_SERVER
#include <chrono>
#include <cstdio>

#include "kuilt/raft.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto voter = kuilt::NodeId::parse(argv[2]).value();
  const auto server_id = kuilt::PeerId(voter.high(), voter.low());
  kuilt::WebSocketLoom loom;
  auto room = kuilt::SeamRoomFactory(loom).join({argv[1], server_id, "cluster-client"}).or_throw();
  const auto raft = room.channel("raft").or_throw();
  const auto anybody = [](const kuilt::Roster& roster) { return !roster.empty(); };
  room.await_roster(anybody, std::chrono::seconds(5)).or_throw();
  kuilt::SeamRaftTransport transport(raft);
  kuilt::InMemoryRaftStorage storage;  // Borrowed by the node.
  const kuilt::ClusterConfig config{.voters = {voter}, .learners = {raft.self_id()}};
  auto node = kuilt::RaftNode::start(config, transport, storage).or_throw();
  auto client = kuilt::cluster_client_with_node(node);
  auto seen = client.observe(kuilt::from_start).or_throw();
  client.propose("action:move=1").get().or_throw();
  while (const auto piece = seen.next()) {
    const auto* entry = std::get_if<kuilt::Committed::Entry>(&*piece);
    if (entry == nullptr) continue;
    std::printf("learnt %s\n", std::string(entry->entry.command.text()).c_str());
    if (entry->entry.command.text() == "action:move=1") return 0;
  }
  return 1;
}

#include "cluster/committed_state.hpp"

#include <string>
#include <utility>

#include "wire/configuration_record.hpp"
#include "wire/entry.hpp"
#include "wire/hash.hpp"

namespace kuilt::cluster {
namespace {

// Nobody asks for the digests of earlier places: no checkpoints.
constexpr std::uint64_t no_checkpoints = std::uint64_t{1} << 62;

Error broken(const raft::Entry& entry, const std::string& what) {
  return Error(ErrorCode::corrupt, Effect::none,
               "entry " + std::to_string(entry.at.index.value()) + ": " + what);
}
Error unfit(const std::string& what) {
  return Error(ErrorCode::corrupt, Effect::none, "the state of a snapshot: " + what);
}

// What the records say, piece by piece.
class Decoding {
 public:
  [[nodiscard]] std::optional<std::string> take(const wire::SnapshotHead& head) {
    if (sessions) return "a second head";
    auto decoded = wire::decode_configuration_record(head.configuration);
    if (!decoded) return decoded.error().message();
    configuration = std::make_shared<const raft::Configuration>(*std::move(decoded));
    sessions.emplace(configuration->parameters);
    sessions->begin(head.at.index, head.log_time, head.forgotten_through);
    at = head.at;
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::string> take(const wire::SnapshotSession& session) {
    if (!sessions || !rooms.empty()) return "a session out of its place";
    return sessions->take(session);
  }
  [[nodiscard]] std::optional<std::string> take(const wire::SnapshotRequest& request) {
    if (!sessions || !rooms.empty()) return "a request out of its place";
    return sessions->take(request);
  }
  [[nodiscard]] std::optional<std::string> take(wire::SnapshotRoom& room) {
    if (!sessions) return "a room before the head";
    if (!rooms.empty() && room.name <= rooms.rbegin()->first) return "rooms out of order";
    rooms.emplace_hint(rooms.end(), std::move(room.name), room.digest);
    return std::nullopt;
  }

  Position at;
  raft::SharedConfiguration configuration;
  std::optional<ClientSessionTable> sessions;
  std::map<RoomName, std::uint64_t> rooms;
};

}  // namespace

std::uint64_t digest_of_state(BytesView state) { return wire::hash(state, 0); }

Bytes encode_state(Position at, const raft::Configuration& configuration,
                   const ClientSessionTable& sessions, const RoomDigests& digests) {
  std::string out;
  wire::append_record(out, wire::SnapshotHead{at, sessions.log_time(), sessions.forgotten_through(),
                                              wire::encode_configuration_record(configuration)});
  sessions.append_records(out);
  for (const auto& [room, digest] : digests.chains()) {
    wire::append_record(out, wire::SnapshotRoom{room, digest});
  }
  return Bytes(std::move(out));
}

CommittedState::CommittedState(Position base, raft::SharedConfiguration at_base)
    : configuration_(std::move(at_base)), digests_(no_checkpoints) {
  if (configuration_) sessions_.emplace(configuration_->parameters);
  if (base != Position{}) digests_.begin(base, {});
}

Result<CommittedState> CommittedState::decode(const Bytes& state) {
  wire::SnapshotRecords records(state);
  Decoding decoding;
  while (true) {
    auto record = records.next();
    if (!record) return unfit(record.error().message());
    if (!*record) break;
    const auto flaw = std::visit([&](auto& one) { return decoding.take(one); }, **record);
    if (flaw) return unfit(*flaw);
  }
  if (!decoding.sessions) return unfit("it has no head");
  CommittedState decoded(Position{});
  decoded.configuration_ = std::move(decoding.configuration);
  decoded.sessions_ = std::move(decoding.sessions);
  decoded.digests_.begin(decoding.at, std::move(decoding.rooms));
  return decoded;
}

Status CommittedState::take(const raft::Entry& entry) {
  if (entry.at.index != through().index.next()) return broken(entry, "comes out of its turn");
  if (entry.kind == raft::EntryKind::configuration) {
    auto admitted = wire::admit_stored(entry.at, entry.kind, entry.stored);
    if (!admitted) return broken(entry, admitted.error().message());
    configuration_ = admitted->configuration;
    if (!sessions_) sessions_.emplace(configuration_->parameters);
  }
  if (!sessions_) return broken(entry, "comes before any configuration");
  if (entry.kind == raft::EntryKind::command) {
    const auto command = wire::decode_command(entry);
    if (!command) return broken(entry, command.error().message());
    sessions_->append(*command);
  }
  sessions_->release(entry.at.index);
  digests_.extend(entry);
  return Done{};
}

Result<bool> CommittedState::advance(Position cut, const Read& read) {
  while (through().index < cut.index) {
    auto entries = read(through().index, cut.index);
    if (!entries) return std::move(entries).error();
    if (entries->empty()) return false;
    for (const raft::Entry& entry : *entries) {
      if (entry.at.index > cut.index) break;
      if (Status status = take(entry); !status) return std::move(status).error();
    }
  }
  if (through() == cut) return true;
  return Error(ErrorCode::corrupt, Effect::none,
               "the log has another entry at index " + std::to_string(cut.index.value()) +
                   " than the cut of term " + std::to_string(cut.term.value()));
}

Bytes CommittedState::encode() const {
  return encode_state(through(), *configuration_, *sessions_, digests_);
}

}  // namespace kuilt::cluster

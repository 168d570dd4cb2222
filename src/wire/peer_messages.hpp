// peer_messages.hpp: what servers say to each other, as values. A client can reach none of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "raft/messages.hpp"
#include "wire/configuration_record.hpp"
#include "wire/outcome.hpp"
#include "wire/room_messages.hpp"

namespace kuilt::wire {

inline constexpr std::uint32_t peer_version_min = 1;
inline constexpr std::uint32_t peer_version_max = 1;
/// Bit of PeerHello::features: knows cuts in the log. An entry kind that one server of a cluster
/// does not know would stop that server: so nobody links to a server without this.
inline constexpr std::uint64_t peer_feature_cuts = 1;

using Nonce = std::array<std::byte, 32>;
using Mac = std::array<std::byte, 32>;  ///< HMAC-SHA-256.

/// The first message in each direction. The acceptor's carries its proof (docs/protocol.md).
struct PeerHello {
  std::uint32_t version_min = peer_version_min;
  std::uint32_t version_max = peer_version_max;
  std::uint64_t features = peer_feature_cuts;
  ClusterId cluster;  ///< None while founding.
  HistoryId history;
  NodeId node;
  BootId boot;
  std::string name;
  Nonce nonce{};
  std::optional<Mac> proof;  ///< Of the acceptor only.
  friend bool operator==(const PeerHello&, const PeerHello&) = default;
};
/// The initiator's proof, after it has checked the acceptor's.
struct PeerProof {
  Mac proof{};
  friend bool operator==(const PeerProof&, const PeerProof&) = default;
};

/// Proposals that an entry server passes on to the leader, under a number of its own.
struct Forward {
  std::uint64_t number = 0;
  std::vector<Proposal> proposals;
  friend bool operator==(const Forward&, const Forward&) = default;
};
/// The leader's refusals and already committed repeats of one forward. What is appended gets no
/// answer here: success is the entry itself, in the entry server's own log.
struct ForwardReply {
  std::uint64_t number = 0;
  Term term;  ///< In which the sender answered.
  struct Answer {
    std::uint32_t place = 0;  ///< Of the proposal in the forward, from 0.
    Outcome outcome;
    friend bool operator==(const Answer&, const Answer&) = default;
  };
  std::vector<Answer> answers;
  friend bool operator==(const ForwardReply&, const ForwardReply&) = default;
};

/// Founding (design, section 3): each server tells all others what it would put into the record.
struct FoundingOffer {
  NodeId node;
  std::string name;
  std::string peer_url;
  std::string client_url;
  Nonce nonce{};
  std::uint64_t list_digest = 0;  ///< Of the --found list: must be equal everywhere.
  friend bool operator==(const FoundingOffer&, const FoundingOffer&) = default;
};
/// "I hold this record." Written to the log only when all hold the same.
struct FoundingHold {
  Bytes record;          ///< Encoded Configuration.
  bool founded = false;  ///< The sender has it in its log already.
  friend bool operator==(const FoundingHold&, const FoundingHold&) = default;
};

/// From a server that has no cluster yet. It asks again until it is a member.
struct JoinRequest {
  std::string name;
  std::string peer_url;
  std::string client_url;
  friend bool operator==(const JoinRequest&, const JoinRequest&) = default;
};
/// The sender of the request is a member by now, and that is committed.
struct JoinAccepted {
  Bytes record;  ///< Encoded Configuration: the members as they are.
  friend bool operator==(const JoinAccepted&, const JoinAccepted&) = default;
};
/// Not, or not yet: then it asks again.
struct JoinRefused {
  ErrorCode code = ErrorCode::busy;
  std::string message;
  std::string leader;  ///< Where servers reach the leader, if it is another one and known.
  friend bool operator==(const JoinRefused&, const JoinRefused&) = default;
};
struct JoinReply {
  std::variant<JoinAccepted, JoinRefused> outcome;
  friend bool operator==(const JoinReply&, const JoinReply&) = default;
};

/// Why the link is closed; the last message on it.
struct PeerGoodbye {
  ErrorCode code = ErrorCode::stopped;
  std::string message;
  friend bool operator==(const PeerGoodbye&, const PeerGoodbye&) = default;
};

using PeerMessage =
    std::variant<PeerHello, PeerProof, raft::Message, Forward, ForwardReply, FoundingOffer,
                 FoundingHold, PeerGoodbye, PeerRooms, PeerRoomsTaken, JoinRequest, JoinReply>;

/// Longest frame between servers, given the cluster's largest command (rule 15).
[[nodiscard]] std::size_t peer_frame_bytes_max(std::size_t command_bytes_max);

/// One binary frame. Entries go as they are stored.
[[nodiscard]] Bytes encode(const PeerMessage& message);
/// Keeps slices of `frame` for entries and commands.
/// Errors: bad_frame (with what was wrong, and where), unsupported_format.
[[nodiscard]] Result<PeerMessage> decode_peer(const Bytes& frame);

/// What a proof is the HMAC-SHA-256 of: all that the two hellos said which decides anything, each
/// part of fixed size (docs/protocol.md). `acceptor` says whose proof it is, so that neither side
/// can send the other's back; `version` is the one that the two chose.
[[nodiscard]] Bytes proof_input(bool acceptor, const PeerHello& initiator,
                                const PeerHello& acceptor_hello, std::uint32_t version);

}  // namespace kuilt::wire

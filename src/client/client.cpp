#include "kuilt/client.hpp"

#include <chrono>
#include <utility>

#include "client/client_options.hpp"
#include "client/client_shell.hpp"
#include "client/durable_session.hpp"
#include "client/learner_reader.hpp"
#include "client/session_file.hpp"

namespace kuilt {

Result<ClusterClient> ClusterClient::connect(ClusterEndpoints endpoints, ClientOptions options) {
  const std::string doing = "connect";
  if (Status sound = client::complaint_about(endpoints); !sound) {
    return std::move(sound).error().within(doing);
  }
  if (Status sound = client::complaint_about(options); !sound) {
    return std::move(sound).error().within(doing);
  }
  const client::ClientOptions core = client::core_options(endpoints, options);
  auto shell = std::make_shared<detail::ClientShell>(
      core, std::move(options), detail::random_bits(), detail::random_session());
  shell->start();
  return ClusterClient(std::move(shell));
}

Result<ClusterClient> ClusterClient::connect(std::initializer_list<std::string> endpoints,
                                             ClientOptions options) {
  return connect(ClusterEndpoints(endpoints), std::move(options));
}

ClusterClient::ClusterClient(std::shared_ptr<detail::ClientShell> shell,
                             std::shared_ptr<detail::LearnerReader> learner)
    : shell_(std::move(shell)), learner_(std::move(learner)) {}
ClusterClient::ClusterClient(ClusterClient&&) noexcept = default;
ClusterClient& ClusterClient::operator=(ClusterClient&& other) noexcept {
  if (this != &other) {
    end();
    shell_ = std::move(other.shell_);
    learner_ = std::move(other.learner_);
  }
  return *this;
}
ClusterClient::~ClusterClient() { end(); }

void ClusterClient::end() {
  if (!shell_) return;
  stop();
  if (!learner_) shell_->drop_callbacks();
}

Pending<Receipt> ClusterClient::propose(BytesView command) { return propose(command, {}); }
Pending<Receipt> ClusterClient::propose(BytesView command, ProposeOptions options) {
  if (learner_ && learner_->stopped()) {
    return Pending<Receipt>(
        shell_->failed(Error(ErrorCode::stopped, Effect::none, "the client was stopped before")));
  }
  return Pending<Receipt>(shell_->propose(command, options));
}

Pending<Index> ClusterClient::read_barrier(std::chrono::nanoseconds timeout) {
  if (learner_ && learner_->stopped()) {
    return Pending<Index>(shell_->failed_read(
        Error(ErrorCode::stopped, Effect::none, "the client was stopped before")));
  }
  return Pending<Index>(shell_->read_barrier(timeout));
}

Result<DurableSession> ClusterClient::open_session(const std::string& path,
                                                   std::chrono::nanoseconds deadline) {
  const std::string doing = "open session " + path;
  auto store = client::SessionFile::open(path);
  if (!store) return std::move(store).error().within(doing);
  auto session = open_session(*std::move(store), deadline);
  if (!session) return std::move(session).error().within(doing);
  return session;
}

Result<DurableSession> ClusterClient::open_session(std::unique_ptr<SessionStore> store,
                                                   std::chrono::nanoseconds deadline) {
  auto file = detail::DurableSessionFile::open(shell_, std::move(store), deadline);
  if (!file) return std::move(file).error();
  return DurableSession(*std::move(file));
}

Result<Observer> ClusterClient::observe(From from, ObserveOptions options) {
  const std::string doing = "observe";
  if (learner_) {
    auto cursor = learner_->observe(from, options.room);
    if (!cursor) return std::move(cursor).error().within(doing);
    return Observer(*std::move(cursor));
  }
  auto subscription = shell_->observe(from, options.room);
  if (!subscription) return std::move(subscription).error().within(doing);
  return Observer(*std::move(subscription));
}

Status ClusterClient::on_committed(From from, std::function<void(const Committed&)> callback,
                                   ObserveOptions options,
                                   std::function<void(const Error&)> on_end) {
  const std::string doing = "on_committed";
  if (learner_) {
    auto cursor = learner_->observe(from, options.room, std::move(callback), std::move(on_end));
    if (!cursor) return std::move(cursor).error().within(doing);
    return Done{};
  }
  auto subscription = shell_->observe(from, options.room, std::move(callback), std::move(on_end));
  if (!subscription) return std::move(subscription).error().within(doing);
  return Done{};
}

std::size_t ClusterClient::poll(std::chrono::nanoseconds budget) {
  const auto shell = shell_;  // A callback may destroy this client.
  return shell->poll(budget);
}

Result<Room> ClusterClient::join(const RoomName& room) {
  if (learner_) {
    return Error(ErrorCode::usage, Effect::none,
                 "join: the link of a RaftNode joins no rooms; use SeamRoomFactory");
  }
  auto state = shell_->join(room);
  if (!state) return std::move(state).error().within("join");
  return Room(*std::move(state));
}

void ClusterClient::stop() {
  if (learner_) return learner_->stop();
  if (shell_) shell_->stop();
}

Observer::Observer(std::shared_ptr<detail::CommittedSource> source) : source_(std::move(source)) {}
Observer::Observer(Observer&&) noexcept = default;
Observer& Observer::operator=(Observer&& other) noexcept {
  if (this != &other) {
    if (source_) source_->leave();
    source_ = std::move(other.source_);
  }
  return *this;
}
Observer::~Observer() {
  if (source_) source_->leave();
}

std::optional<Committed> Observer::next() { return source_->next(std::nullopt); }
std::optional<Committed> Observer::next_for(std::chrono::nanoseconds timeout) {
  return source_->next(std::chrono::steady_clock::now() + detail::bounded(timeout));
}
std::optional<Error> Observer::error() const { return source_->error(); }
std::optional<ResumeToken> Observer::token() const { return source_->token(); }

}  // namespace kuilt

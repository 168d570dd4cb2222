#include "kuilt/client.hpp"

#include <chrono>
#include <utility>

#include "client/client_shell.hpp"
#include "client/durable_session.hpp"
#include "client/session_file.hpp"
#include "transport/address.hpp"
#include "wire/utf8.hpp"

namespace kuilt {
namespace {

/// It travels in the hello, which has a limit.
constexpr std::size_t token_bytes_max = 1024;

Status complaint_about(const ClusterEndpoints& endpoints, const ClientOptions& options) {
  const auto complain = [](std::string what) {
    return Error(ErrorCode::invalid_argument, std::move(what));
  };
  if (endpoints.empty()) return complain("no endpoint to connect to");
  if (options.links == 0) return complain("links is 0; at least one is needed");
  for (const std::string& url : endpoints.urls()) {
    if (Result<transport::Address> address = transport::parse_url(url); !address) {
      return std::move(address).error();
    }
  }
  const auto check = [&](const std::string& what, const std::string& text,
                         std::size_t bytes_max) -> Status {
    if (text.size() > bytes_max) {
      return complain(what + " has " + std::to_string(text.size()) + " bytes, the limit is " +
                      std::to_string(bytes_max));
    }
    if (!wire::is_utf8(text)) return complain(what + " is not UTF-8");
    return Done{};
  };
  if (Status name = check("name", options.name, wire::principal_bytes_max); !name) return name;
  if (Status token = check("token", options.token, token_bytes_max); !token) return token;
  for (const auto& [what, wait] : {std::pair("attempt_timeout", options.attempt_timeout),
                                   std::pair("silence_max", options.silence_max),
                                   std::pair("dial_timeout", options.dial_timeout)}) {
    if (wait > Duration::zero()) continue;
    return complain(what + (" is " + std::to_string(wait.count())) + " ns; it must be above 0");
  }
  return Done{};
}

EndpointSelector guarded(EndpointSelector selector) {
  if (!selector) return selector;
  return [selector = std::move(selector)](const EndpointChoice& choice) {
    std::size_t place = 0;
    client::call_application("selector", [&] { place = selector(choice); });
    return place;
  };
}

client::ClientOptions core_options(const ClusterEndpoints& endpoints,
                                   const ClientOptions& options) {
  client::ClientOptions core;
  core.endpoints = endpoints.urls();
  core.selector = guarded(options.selector);
  core.name = options.name;
  core.token = options.token;
  core.secret = {detail::random_bits(), detail::random_bits() | 1U};
  core.links = options.links;
  core.attempt_timeout = detail::bounded(options.attempt_timeout);
  core.silence_max = detail::bounded(options.silence_max);
  core.dial_timeout = detail::bounded(options.dial_timeout);
  return core;
}

}  // namespace

Result<ClusterClient> ClusterClient::connect(ClusterEndpoints endpoints, ClientOptions options) {
  if (Status sound = complaint_about(endpoints, options); !sound) {
    return std::move(sound).error().within("connect");
  }
  const client::ClientOptions core = core_options(endpoints, options);
  auto shell = std::make_shared<detail::ClientShell>(
      core, std::move(options), detail::random_bits(), detail::random_session());
  shell->start();
  return ClusterClient(std::move(shell));
}

Result<ClusterClient> ClusterClient::connect(std::initializer_list<std::string> endpoints,
                                             ClientOptions options) {
  return connect(ClusterEndpoints(endpoints), std::move(options));
}

ClusterClient::ClusterClient(std::shared_ptr<detail::ClientShell> shell)
    : shell_(std::move(shell)) {}
ClusterClient::ClusterClient(ClusterClient&&) noexcept = default;
ClusterClient& ClusterClient::operator=(ClusterClient&& other) noexcept {
  if (this != &other) {
    end();
    shell_ = std::move(other.shell_);
  }
  return *this;
}
ClusterClient::~ClusterClient() { end(); }

void ClusterClient::end() {
  if (!shell_) return;
  shell_->stop();
  shell_->drop_callbacks();
}

Pending<Receipt> ClusterClient::propose(BytesView command) { return propose(command, {}); }
Pending<Receipt> ClusterClient::propose(BytesView command, ProposeOptions options) {
  return Pending<Receipt>(shell_->propose(command, options));
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
  auto subscription = shell_->observe(from, options.room);
  if (!subscription) return std::move(subscription).error().within("observe");
  return Observer(*std::move(subscription));
}

Status ClusterClient::on_committed(From from, std::function<void(const Committed&)> callback,
                                   ObserveOptions options,
                                   std::function<void(const Error&)> on_end) {
  auto subscription = shell_->observe(from, options.room, std::move(callback), std::move(on_end));
  if (!subscription) return std::move(subscription).error().within("on_committed");
  return Done{};
}

std::size_t ClusterClient::poll(std::chrono::nanoseconds budget) {
  const auto shell = shell_;  // A callback may destroy this client.
  return shell->poll(budget);
}

Result<Room> ClusterClient::join(const RoomName& room) {
  auto state = shell_->join(room);
  if (!state) return std::move(state).error().within("join");
  return Room(*std::move(state));
}

void ClusterClient::stop() {
  if (shell_) shell_->stop();
}

Observer::Observer(std::shared_ptr<detail::Subscription> subscription)
    : subscription_(std::move(subscription)) {}
Observer::Observer(Observer&&) noexcept = default;
Observer& Observer::operator=(Observer&& other) noexcept {
  if (this != &other) {
    if (subscription_) subscription_->leave();
    subscription_ = std::move(other.subscription_);
  }
  return *this;
}
Observer::~Observer() {
  if (subscription_) subscription_->leave();
}

std::optional<Committed> Observer::next() { return subscription_->next(); }
std::optional<Committed> Observer::next_for(std::chrono::nanoseconds timeout) {
  return subscription_->next(std::chrono::steady_clock::now() + detail::bounded(timeout));
}
std::optional<Error> Observer::error() const { return subscription_->error(); }
std::optional<ResumeToken> Observer::token() const { return subscription_->token(); }

}  // namespace kuilt

#include "testing/user_program.hpp"

#include <algorithm>
#include <utility>

#include "cluster/application.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "wire/room_name.hpp"

namespace kuilt::testing {

class SimulatedClient::Impl::Life final : public detail::Callbacks {
 public:
  explicit Life(Impl& program) : program_(&program) {}

  bool run(const char* name, std::function<void()> callback) override {
    if (program_ == nullptr) return false;
    program_->call_after({}, name, std::move(callback));
    return true;
  }
  // There is one thread, and whoever waited on it would wait for ever.
  [[nodiscard]] bool here() const override { return true; }

  /// Gives a call up, in an event of its own: it may be dropped anywhere.
  void cancel(client::CallId call) {
    if (program_ == nullptr) return;
    Impl& program = *program_;
    program.call_after({}, "give_up", [&program, call] { program.client_.cancel(call); });
  }
  void end() { program_ = nullptr; }

 private:
  Impl* program_;
};

SimulatedClient::Impl::Impl(sim::Client& client, Rng rng, Start start)
    : client_(client), rng_(rng), start_(std::move(start)), facade_(*this) {}

SimulatedClient::Impl::~Impl() { died(); }

void SimulatedClient::Impl::started() {
  ++starts_;
  life_ = std::make_shared<Life>(*this);
  call_after({}, "the client's program", [this] { start_(facade_); });
}

// What the dead process had in memory is freed, and nobody is called.
void SimulatedClient::Impl::died() {
  if (life_) life_->end();
  life_.reset();
  calls_.clear();
  observed_.clear();
  due_ = 0;
}

void SimulatedClient::Impl::complain(const std::string& sentence) {
  client_.scene().invariants.complain(sentence);
}

void SimulatedClient::Impl::expect(bool holds, const std::string& sentence) {
  if (!holds) complain("client " + std::to_string(number()) + ": " + sentence);
}

void SimulatedClient::Impl::call_after(Duration delay, const char* name,
                                       std::function<void()> callback) {
  ++due_;
  client_.after(delay, [this, name, callback = std::move(callback)] {
    --due_;
    const auto thrown = cluster::thrown_by(callback);
    expect(!thrown, std::string("a callback threw in ") + name + ": " + thrown.value_or(""));
  });
}

void SimulatedClient::Impl::after(Duration delay, std::function<void()> callback) {
  if (life_) call_after(detail::bounded(delay), "after", std::move(callback));
}

// What it proposes.

Pending<Receipt> SimulatedClient::Impl::refused(Error error) {
  auto callbacks = life_ ? life_ : std::make_shared<Life>(*this);
  if (!life_) callbacks->end();
  const auto state = std::make_shared<State>(std::move(callbacks), nullptr);
  state->resolve(std::move(error));
  return Pending<Receipt>(state);
}

Pending<Receipt> SimulatedClient::Impl::propose(BytesView command, const ProposeOptions& options) {
  if (!life_) return refused(Error(ErrorCode::stopped, Effect::none, "this process is dead"));
  if (Status sound = wire::check_room(options.room); !sound) {
    return refused(std::move(sound).error());
  }
  const client::CallId call = client_.next_call();
  auto give_up = [life = std::weak_ptr(life_), call] {
    if (const auto alive = life.lock()) alive->cancel(call);
  };
  const auto state = std::make_shared<State>(life_, std::move(give_up));
  calls_[call] = state;
  client::ProposeCall asked;
  asked.call = call;
  client_.propose(client_.scene().oracle.propose(options.room, command),
                  detail::bounded(options.deadline), std::move(asked));
  return Pending<Receipt>(state);
}

void SimulatedClient::Impl::resolved(const client::Resolved& resolved) {
  const auto found = calls_.find(resolved.call);
  if (found == calls_.end()) return;
  const auto state = std::move(found->second);
  calls_.erase(found);
  if (!resolved.result) return state->resolve(resolved.result.error());
  const wire::CommittedOutcome& outcome = *resolved.result;
  state->resolve(Receipt{outcome.at.index, outcome.at.term, outcome.duplicate, outcome.result});
}

// What it observes.

Status SimulatedClient::Impl::on_committed(const From& from,
                                           std::function<void(const Committed&)> callback,
                                           const RoomName& room,
                                           std::function<void(const Error&)> on_end) {
  if (!life_) return Error(ErrorCode::stopped, Effect::none, "this process is dead");
  if (Status sound = wire::check_room(room); !sound) return sound;
  if (observed_.contains(room)) {
    return Error(ErrorCode::invalid_argument, "the room is observed already");
  }
  const sim::Oracle& oracle = client_.scene().oracle;
  const auto* index = std::get_if<kuilt::FromIndex>(&from);
  if (index != nullptr && index->index > oracle.last().index.next()) {
    return Error(
        ErrorCode::invalid_argument,
        "the simulator begins at an index that is there: " + std::to_string(index->index.value()) +
            " is beyond the last one, " + std::to_string(oracle.last().index.value()));
  }
  observed_[room] =
      std::make_shared<const Observed>(Observed{std::move(callback), std::move(on_end)});
  const auto on_from = Overloaded{
      [&](const kuilt::FromStart&) { client_.observe(room, wire::FromStart{}, oracle.base()); },
      [&](const kuilt::FromNow&) { client_.observe(room, wire::FromNow{}, std::nullopt); },
      [&](const kuilt::FromIndex& wanted) {
        const Index first = std::max(wanted.index, oracle.base().index.next());
        const Index before(first.value() - 1);
        client_.observe(room, wire::FromIndex{first},
                        before > oracle.base().index ? oracle.position_at(before) : oracle.base());
      },
      [&](const ResumeToken& token) {
        const wire::ResumePoint point{token.cluster, token.history, token.position, token.digest};
        client_.observe(room, point, token.position);
      },
  };
  std::visit(on_from, from);
  return Done{};
}

void SimulatedClient::Impl::delivered(const client::Delivered& delivered) {
  const auto observed = observed_.find(delivered.room);
  if (observed == observed_.end()) return;
  const wire::FeedEntry& entry = delivered.entry;
  LogEntry seen{entry.at.index, entry.at.term,    sim::Oracle::body_in(entry.command),
                entry.author,   entry.request_id, entry.log_time,
                entry.room};
  call_after({}, "on_committed",
             [this, target = observed->second, seen = std::move(seen), bytes = delivered.bytes] {
               client_.taken(seen.room, bytes);
               target->on_piece(CommittedEntry{seen});
             });
}

void SimulatedClient::Impl::advanced(const client::Advanced& advanced) {
  const auto observed = observed_.find(advanced.room);
  if (observed == observed_.end()) return;
  call_after({}, "on_committed", [target = observed->second, through = advanced.through] {
    target->on_piece(CommittedAdvance{through});
  });
}

void SimulatedClient::Impl::observe_ended(const client::ObserveEnded& ended) {
  const auto observed = observed_.find(ended.room);
  if (observed == observed_.end()) return;
  const auto target = std::move(observed->second);
  observed_.erase(observed);
  if (!target->on_end) return;
  call_after({}, "on_end", [target, error = ended.error] { target->on_end(error); });
}

std::string SimulatedClient::Impl::state() const {
  return "of its program " + std::to_string(due_) +
         " callbacks to come (it begins nothing new once ending() is true)";
}

}  // namespace kuilt::testing

#include "cli/proposals.hpp"

#include <cstdio>
#include <utility>

#include "cli/commands.hpp"
#include "cli/json_line.hpp"
#include "cli/link_news.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {

Proposals::Proposals(ClusterClient client, std::optional<ProposeSession> session,
                     ProposalsOptions options)
    : options_(std::move(options)), session_(std::move(session)), client_(std::move(client)) {}

bool Proposals::goes_on() const { return status_ == 0 && !unread_ && interrupt() == 0; }

bool Proposals::propose(const std::string& command) {
  std::uint64_t number = 0;
  {
    std::unique_lock lock(mutex_);
    await_at_most(options_.in_flight_max - 1, lock);
    if (!goes_on()) return false;
    number = first_ + slots_.size();
    slots_.push_back({.begun = Clock::now()});
  }
  const auto take = [this, number](Result<Receipt> result) { done(number, std::move(result)); };
  if (!session_) {
    client_.propose(command, {.deadline = options_.deadline, .room = options_.room}).then(take);
    return true;
  }
  auto sent = session_->propose(command, options_.room, options_.deadline);
  if (!sent) {
    take(std::move(sent).error());
    return true;
  }
  {
    const std::lock_guard lock(mutex_);
    slots_.at(number - first_).id = sent->id;
  }
  sent->outcome.then(take);
  return true;
}

int Proposals::finish() {
  std::unique_lock lock(mutex_);
  if (await_at_most(0, lock)) {
    if (session_) {
      const Status kept = session_->finish(goes_on(), options_.deadline);
      if (!kept) failed(report(kept.error()));
    }
    return status_ == 0 && interrupt() != 0 ? interrupted_status : status_;
  }
  given_up_ = true;
  std::fprintf(stderr, "interrupted: %zu commands have no outcome; they may be committed\n",
               slots_.size());
  return interrupted_status;
}

bool Proposals::await_at_most(std::size_t count, std::unique_lock<std::mutex>& lock) {
  // A signal handler can't notify: so often it is looked for.
  constexpr auto look_interval = std::chrono::milliseconds(100);
  while (slots_.size() > count && interrupt() == 0) changed_.wait_for(lock, look_interval);
  return slots_.size() <= count;
}

void Proposals::done(std::uint64_t number, Result<Receipt> result) {
  const std::lock_guard lock(mutex_);
  if (given_up_) return;
  Slot& slot = slots_.at(number - first_);
  slot.took = Clock::now() - slot.begun;
  slot.result.emplace(std::move(result));
  while (!slots_.empty() && slots_.front().result) {
    const Slot& first = slots_.front();
    print(first_, first);
    if (first.id) settle(*first.id, *first.result);
    slots_.pop_front();
    first_ += 1;
  }
  changed_.notify_all();
}

void Proposals::print(std::uint64_t number, const Slot& slot) {
  if (options_.json) return print_json(number, slot);
  print_text(number, slot);
}

void Proposals::print_text(std::uint64_t number, const Slot& slot) {
  if (!*slot.result) {
    Error error = slot.result->error();
    if (options_.numbered) error = std::move(error).within("line " + std::to_string(number));
    return failed(report(error));
  }
  const Receipt& receipt = **slot.result;
  const std::string index = std::to_string(receipt.index.value());
  std::string line = receipt.duplicate
                         ? "duplicate of " + index
                         : "committed " + index + " term " + std::to_string(receipt.term.value()) +
                               " in " + text_of(slot.took);
  if (receipt.result) line += ": " + escaped(receipt.result->text());
  if (!put_line(line)) unread_ = true;
}

void Proposals::print_json(std::uint64_t number, const Slot& slot) {
  JsonLine out;
  out.add("line", number);
  if (*slot.result) {
    const Receipt& receipt = **slot.result;
    out.add("index", receipt.index.value())
        .add("term", receipt.term.value())
        .add("duplicate", receipt.duplicate)
        .add("microseconds", static_cast<std::uint64_t>(slot.took / std::chrono::microseconds(1)));
    if (receipt.result) out.add_bytes("result", *receipt.result);
  } else {
    const Error& error = slot.result->error();
    out.add("error", name_of(error.code()))
        .add("may_have_happened", error.effect() == Effect::unknown)
        .add("message", error.message());
    failed(exit_status_of(error));
  }
  if (!put_line(out.text())) unread_ = true;
}

void Proposals::settle(RequestId id, const Result<Receipt>& outcome) {
  if (unread_) return;  // Nobody was told: the next run will be.
  if (const Status kept = session_->settled(id, outcome); !kept) failed(report(kept.error()));
}

void Proposals::failed(int status) {
  // What may have happened is what the caller must hear of first.
  constexpr int unknown = 4;
  if (status_ == 0 || status == unknown) status_ = status;
}

}  // namespace kuilt::cli

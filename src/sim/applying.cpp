#include "sim/applying.hpp"

#include <algorithm>
#include <utility>

#include "wire/entry.hpp"

namespace kuilt::sim {
namespace {

// Of one round; small, so that a run has many.
constexpr std::size_t round_bytes_max = 2000;
constexpr std::uint64_t refusal_percent = 40;  // Of what is admitted at times.

}  // namespace

Applying::Applying(Scene& scene, const cluster::FeedBoot& boot, Rng rng, ApplyingOwner owner)
    : scene_(scene),
      rng_(rng),
      owner_(std::move(owner)),
      tail_(boot.base, boot.terms, boot.digests.through()),
      applied_(boot.base.index),
      told_(applied_) {
  tail_.keep(scene_.plan.feed.ring_bytes_max);
  come_back();
}

void Applying::publish(const cluster::CommittedBatch& batch) {
  tail_.append(batch);
  come_back();
}

void Applying::ask(const std::vector<cluster::AdmissionQuestion>& questions) {
  if (!questions_.empty() && questions_.front().term < questions.front().term) questions_.clear();
  questions_.insert(questions_.end(), questions.begin(), questions.end());
  come_back();
}

void Applying::taken() {
  tells_ = false;
  come_back();
}

void Applying::come_back() {
  if (std::exchange(is_due_, true)) return;
  owner_.later([this] { go_on(); });
}

void Applying::go_on() {
  is_due_ = false;
  apply_some();
  answer_questions();
  tell();
}

void Applying::apply_some() {
  if (reads_) return;
  const auto next = tail_.next(applied_, round_bytes_max);
  if (const auto* entries = std::get_if<std::vector<raft::Entry>>(&next)) apply(*entries);
  const auto* file = std::get_if<cluster::CommittedTail::InFile>(&next);
  if (file == nullptr) return;
  reads_ = true;
  const auto on_read = [this, first = file->first](Result<std::vector<raft::Entry>> entries) {
    reads_ = false;
    // What is committed may not be on this server's own disk yet.
    if (entries) apply(tail_.admit(first, *std::move(entries)));
    scene_.coverage.count("reads of old log to apply it");
    come_back();
  };
  owner_.read(file->first, file->last, round_bytes_max, on_read);
}

void Applying::apply(const std::vector<raft::Entry>& entries) {
  for (const raft::Entry& entry : entries) {
    applied_ = entry.at.index;
    if (entry.kind != raft::EntryKind::command) continue;
    const auto command = wire::decode_command(entry);
    results_.push_back({applied_, state_.apply(command->body)});
  }
  come_back();
}

void Applying::answer_questions() {
  cluster::Verdicts verdicts;
  const auto is_early = [&](const auto& question) { return question.after > applied_; };
  const auto early = std::ranges::find_if(questions_, is_early);
  for (auto question = questions_.begin(); question != early; ++question) {
    // One that was deposed and does not know it yet may decide by an older state.
    if (scene_.invariants.newest_term_led() == question->term) {
      scene_.invariants.complain(scene_.oracle.asked(question->command, applied_));
    }
    cluster::AdmissionVerdict verdict{question->number, std::nullopt};
    if (!admits(*question)) verdict.refusal = "not this";
    verdicts.verdicts.push_back(std::move(verdict));
  }
  questions_.erase(questions_.begin(), early);
  if (!verdicts.verdicts.empty()) owner_.submit(std::move(verdicts));
}

bool Applying::admits(const cluster::AdmissionQuestion& question) {
  switch (admittance_of(Oracle::number_in(question.command).value_or(0))) {
    case Admittance::always: return true;
    case Admittance::at_times: return !rng_.chance(refusal_percent);
    case Admittance::never: return false;
  }
  return true;
}

void Applying::tell() {
  if (told_ == applied_ || std::exchange(tells_, true)) return;
  told_ = applied_;
  owner_.submit(cluster::Applied{applied_, std::exchange(results_, {})});
}

}  // namespace kuilt::sim

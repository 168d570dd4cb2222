#include "sim/applying.hpp"

#include <algorithm>
#include <utility>

#include "cluster/application.hpp"

namespace kuilt::sim {
namespace {

// Of one round; small, so that a run has many.
constexpr std::size_t round_bytes_max = 2000;

}  // namespace

Applying::Applying(Scene& scene, const cluster::FeedBoot& boot, ApplyingOwner owner,
                   ApplyingSnapshots snapshots)
    : scene_(scene),
      owner_(std::move(owner)),
      snapshots_(std::move(snapshots)),
      tail_(boot.base, boot.terms, boot.digests.through()),
      machine_(scene.machines.make()),
      applied_(boot.base.index),
      told_(applied_) {
  tail_.keep(scene_.plan.feed.ring_bytes_max);
  if (snapshots_.restored) restore();
  come_back();
}

void Applying::restore() {
  const Position cut = *snapshots_.restored;
  auto source = snapshots_.open();
  const auto through =
      source ? cluster::restore(*machine_, **source, cut) : Result<Index>(source.error());
  if (!through) {
    machine_.reset();
    return scene_.invariants.complain("on " + owner_.name + ", " + through.error().message());
  }
  applied_ = *through;
  scene_.coverage.count("restarts from a snapshot");
  scene_.invariants.complain(scene_.oracle.restored(owner_.name, cut.index, *machine_));
}

// What is thrown or refused costs this snapshot, as on a real server.
void Applying::meet_cut(Position cut) {
  if (!machine_ || snapshots_.writes == nullptr || cut.index < snapshots_.first_cut) return;
  if (!snapshots_.writes->is_free()) return scene_.coverage.count("cuts passed over");
  auto writer = cluster::freeze(*machine_);
  if (!writer) return snapshots_.writes->given_up();
  if (*writer) snapshots_.writes->write(cut, *std::move(writer));
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
    const auto command = cluster::log_entry_of(entry);
    if (*command && machine_) apply_command(**command);
    if (entry.kind == raft::EntryKind::cut) meet_cut(entry.at);
  }
  come_back();
}

// A real server stops with what cluster::apply says, and so do all others if it is the command's
// fault: for whoever tests a state machine it is the end of the run.
void Applying::apply_command(const LogEntry& sealed) {
  LogEntry entry = sealed;
  entry.command = Oracle::body_in(sealed.command);
  auto result = cluster::apply(*machine_, entry);
  if (!result) {
    machine_.reset();
    return scene_.invariants.complain("on " + owner_.name + ", " + result.error().message());
  }
  scene_.invariants.complain(scene_.oracle.applied(owner_.name, entry, *result, *machine_));
  if (result->size() <= result_bytes_max) results_.push_back({applied_, *std::move(result)});
}

void Applying::answer_questions() {
  if (!machine_) return;
  cluster::Verdicts verdicts;
  const auto is_early = [&](const auto& question) { return question.after > applied_; };
  const auto early = std::ranges::find_if(questions_, is_early);
  for (auto question = questions_.begin(); question != early; ++question) {
    // One that was deposed and does not know it yet may decide by an older state.
    if (scene_.invariants.newest_term_led() == question->term) {
      scene_.invariants.complain(scene_.oracle.asked(question->command, applied_));
    }
    verdicts.verdicts.push_back({question->number, refusal_of(*question)});
  }
  questions_.erase(questions_.begin(), early);
  if (!verdicts.verdicts.empty()) owner_.submit(std::move(verdicts));
}

std::optional<std::string> Applying::refusal_of(const cluster::AdmissionQuestion& question) {
  const std::string before = scene_.oracle.shown(*machine_);
  auto refusal = cluster::refusal_of(*machine_, question.author, Oracle::body_in(question.command));
  if (scene_.oracle.shown(*machine_) != before) {
    scene_.invariants.complain("admit leaves the state as it was, but on " + owner_.name +
                               " it changed it");
  }
  return refusal;
}

void Applying::tell() {
  if (told_ == applied_ || std::exchange(tells_, true)) return;
  told_ = applied_;
  owner_.submit(cluster::Applied{applied_, std::exchange(results_, {})});
}

}  // namespace kuilt::sim

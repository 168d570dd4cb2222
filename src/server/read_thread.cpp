#include "server/read_thread.hpp"

#include <utility>

#include "wire/entry.hpp"

namespace kuilt::server {

ReadThread::ReadThread(storage::RaftStorage& log) : log_(log), thread_([this] { run(); }) {}

ReadThread::~ReadThread() { stop(); }

void ReadThread::stop() {
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

void ReadThread::read(Index first, Index last, std::size_t bytes_max, OnDone on_done) {
  inbox_.put({first, last, bytes_max, std::move(on_done)});
}

void ReadThread::run() {
  while (!inbox_.closed()) {
    for (const Order& order : inbox_.wait(Instant::max())) {
      if (inbox_.closed()) return;
      order.on_done(carry_out(order));
    }
  }
}

Result<std::vector<raft::Entry>> ReadThread::carry_out(const Order& order) {
  auto entries = log_.read(order.first, order.last, order.bytes_max);
  if (!entries) return entries;
  for (raft::Entry& entry : *entries) {
    if (entry.kind != raft::EntryKind::configuration) continue;
    auto admitted = wire::admit_stored(entry.at, entry.kind, std::move(entry.stored));
    if (!admitted) return std::move(admitted).error().within("read the log");
    entry = *std::move(admitted);
  }
  return entries;
}

}  // namespace kuilt::server

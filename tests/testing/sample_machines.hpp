// sample_machines.hpp: a scoreboard, right and with one bug each that a state machine can have.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

#include "kuilt/testing.hpp"

namespace kuilt::testing {

/// "NAME" gives NAME a point, and returns how many it has; "?" returns who leads.
struct Scores : StateMachine {
  std::map<std::string, int> points;

  Bytes apply(const LogEntry& entry) override {
    const std::string name(entry.command.text());
    return Bytes(name == "?" ? best() : name + " has " + std::to_string(++points[name]));
  }
  [[nodiscard]] std::string best() const {
    std::string best;
    for (const auto& [name, count] : points) {
      if (best.empty() || count > points.at(best)) best = name;
    }
    return best;
  }
  [[nodiscard]] std::string text() const {
    std::string text;
    for (const auto& [name, count] : points) text += name + "=" + std::to_string(count) + " ";
    return text;
  }
};

/// Takes snapshots.
struct ScoresWithSnapshots : Scores {
  SnapshotWriter freeze() override {
    return [frozen = points](Sink& sink) {
      std::ostringstream text;
      for (const auto& [name, count] : frozen) text << name << ' ' << count << ' ';
      return sink.write(text.str());
    };
  }
  Status restore(Source& source) override {
    std::istringstream text(std::string(source.read_all().or_throw().text()));
    for (std::string name; text >> name;) text >> points[name];
    return Done{};
  }
};

/// Bug: a part of the state is not in the snapshot.
struct ScoresThatFreezeTooLittle final : ScoresWithSnapshots {
  SnapshotWriter freeze() override {
    ScoresWithSnapshots some;
    for (const auto& [name, count] : points) some.points[name] = std::min(count, 2);
    return some.ScoresWithSnapshots::freeze();
  }
};

/// Bug: it does not read what it has written.
struct ScoresThatRestoreNothing final : ScoresWithSnapshots {
  Status restore(Source& /*source*/) override {
    return Error(ErrorCode::corrupt, "cannot read that");
  }
};

/// No bug, but bad luck: every second freeze throws.
struct ScoresThatFreezeAtTimes final : ScoresWithSnapshots {
  SnapshotWriter freeze() override {
    if (++freezes % 2 == 1) throw std::runtime_error("no memory");
    return ScoresWithSnapshots::freeze();
  }
  int freezes = 0;
};

/// Bug: what two machines return depends on what the process did before.
struct ScoresWithStaticCounter final : Scores {
  Bytes apply(const LogEntry& entry) override {
    static int applied = 0;
    const Bytes result = Scores::apply(entry);
    return Bytes(std::string(result.text()) + ", ticket " + std::to_string(++applied));
  }
};

/// Bug: it reads a clock.
struct ScoresWithClock final : Scores {
  Bytes apply(const LogEntry& entry) override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    return Bytes(std::string(Scores::apply(entry).text()) + " at " + std::to_string(now));
  }
};

/// Bug: it takes an address for an identity; as does a hash that is seeded with one.
struct ScoresWithAddress final : Scores {
  Bytes apply(const LogEntry& entry) override {
    const auto place = std::to_string(reinterpret_cast<std::uintptr_t>(this));
    return Bytes(std::string(Scores::apply(entry).text()) + " in table " + place);
  }
};

/// Bug: a part of the state is not made by the log, so that it is lost with the process.
struct ScoresThatForget final : Scores {
  std::shared_ptr<std::map<std::string, int>> saved;  // As if in a file beside the log.

  explicit ScoresThatForget(std::shared_ptr<std::map<std::string, int>> file)
      : saved(std::move(file)) {
    points = *saved;
  }
  Bytes apply(const LogEntry& entry) override {
    Bytes result = Scores::apply(entry);
    *saved = points;
    return result;
  }
};

/// Bug: asking changes the answer.
struct ScoresThatCountQuestions final : Scores {
  Status admit(const std::string& /*author*/, BytesView /*command*/) override {
    ++points["questions"];
    return Done{};
  }
};

/// Bug: the state differs, though no result shows it.
struct ScoresWithHiddenState final : Scores {
  explicit ScoresWithHiddenState(int number) : number_(number) {}
  Bytes apply(const LogEntry& entry) override {
    points["machine"] = number_;
    (void)Scores::apply(entry);
    return {};
  }

 private:
  int number_;
};

/// Bug: a command that nobody expected.
struct ScoresThatThrow final : Scores {
  Bytes apply(const LogEntry& entry) override {
    if (entry.command.text() == "?") throw std::invalid_argument("no such name: ?");
    return Scores::apply(entry);
  }
};

}  // namespace kuilt::testing

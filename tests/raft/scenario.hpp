// scenario.hpp: scripts for a small group, with what came of each command recorded below it.
//
// A line that begins with "> " is a command; with "#", a comment; everything else was recorded.
//
//   > servers 3 append=1 window=200   first of all; limits in bytes; `stall`: disks can hang
//   > disk a term=2 vote=b commit=1 log=1,1,2   what a server begins with: the term of each entry
//   > timeout a                its election timeout; a leader's, that hears no quorum
//   > deliver a b [all | N]    the first message from a to b, all, or the Nth before the others
//   > late a b                 the same, after a silence as long as an election timeout
//   > lose a b [all | N]       > repeat a b [N]: it is delivered, and will be again
//   > write a [all]            the disk is done with the first write that waits, or with all
//   > crash a [N]              power fails; N of the waiting writes reached the disk
//   > stall a                  the disk is not done for so long that it hangs
//   > propose a TEXT           > beat a      > again a     > link-lost a b
//   > settle [a b …]           deliver and write until nothing waits; of messages to and from
//                              servers that are not named, all are lost
//   > expect leads a 2         > expect log a 1,1,2        > expect commit a 3
//   > expect follows a b       > expect term a 2           > expect nobody-leads
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "explore/group.hpp"

namespace kuilt::raft::test {

/// Runs one script. The promises of Raft are checked after every step of every server.
class Scenario {
 public:
  /// The script as it should have been recorded. Throws std::runtime_error for a command that
  /// makes no sense.
  [[nodiscard]] std::string run(const std::string& text);
  /// What was expected and is not so, or which promise was broken.
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  using Words = std::vector<std::string>;

  std::vector<std::string> obey_line(const std::string& line);
  std::vector<std::string> obey(const Words& words);
  void prepare_disk(const Words& words);
  void start(const Words& words);
  explore::Group& group();
  std::vector<std::string> move_messages(const Words& words);
  std::vector<std::string> write(const Words& words);
  std::vector<std::string> settle(const Words& words);
  bool settle_once(const std::vector<explore::Slot>& present, std::vector<std::string>& lines);
  std::vector<std::string> expect(const Words& words);
  [[nodiscard]] bool holds(const Words& words);
  [[nodiscard]] explore::Slot slot(const Words& words, std::size_t place) const;

  std::shared_ptr<explore::Setting> setting_;
  std::vector<explore::Disk> disks_;
  std::optional<explore::Group> group_;
  std::vector<std::string> complaints_;
};

}  // namespace kuilt::raft::test

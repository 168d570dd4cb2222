// outcome_fields.hpp: the messages of proto/kuilt/v1/outcome.proto, described.
#pragma once

#include "wire/fields.hpp"
#include "wire/outcome.hpp"

namespace kuilt {

void describe(auto& visitor, wire::Is<Position> auto& position) {
  visitor.field(1, "index", position.index);
  visitor.field(2, "term", position.term);
}

}  // namespace kuilt

namespace kuilt::wire {

void describe(auto& visitor, Is<Proposal> auto& proposal) {
  visitor.field(1, "number", proposal.number);
  visitor.field(2, "session", proposal.session);
  visitor.field(3, "birth", proposal.birth);
  visitor.field(4, "request_id", proposal.request_id);
  visitor.field(5, "floor", proposal.floor);
  visitor.name(6, "room", proposal.room);
  visitor.internal(7, "author", proposal.author);
  visitor.payload(8, "command", proposal.command);
}
void describe(auto& visitor, Is<CommittedOutcome> auto& outcome) {
  visitor.field(1, "at", outcome.at);
  visitor.field(2, "duplicate", outcome.duplicate);
  visitor.payload(3, "result", outcome.result);
}
void describe(auto& visitor, Is<RefusedOutcome> auto& outcome) {
  visitor.field(1, "code", outcome.code);
  visitor.prose(2, "message", outcome.message);
  visitor.field(3, "certain", outcome.certain);
  visitor.field(4, "retry_after", outcome.retry_after);
}
void describe_outcome(auto& visitor, Is<Outcome> auto& outcome) {
  visitor.one_of("outcome", outcome, Alternative<CommittedOutcome>{2, "committed"},
                 Alternative<RefusedOutcome>{3, "refused"});
}
void describe(auto& visitor, Is<Answer> auto& answer) {
  visitor.field(1, "number", answer.number);
  describe_outcome(visitor, answer.outcome);
}

}  // namespace kuilt::wire

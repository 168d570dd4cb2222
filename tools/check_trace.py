#!/usr/bin/env python3
"""Follows a trace of Raft (kuilt-sim --raft-trace, kuilt-explore --raft-trace) line by line.

usage: tools/check_trace.py FILE        (exit 0: every line may happen; 1: one may not, and why)

It is the state machine of the TLA+ specification, with what kuilt adds to it: for each server the
term, the vote, the log's terms, the commit index, the votes and matches it was told of; and the
messages that are on their way. Each line is one action. It is refused if its guard does not hold, or
if the state that it tells is not the one that the action leads to. docs/testing.md has the names.
"""
import json
import sys
from collections import Counter

ROLES_THAT_COUNT_VOTES = ("Candidate", "PreCandidate")


class Refused(Exception):
    """The sentence that a line breaks."""


def require(holds, sentence):
    if not holds:
        raise Refused(sentence)


class Server:
    """What the lines said of one server, and what its messages have promised."""

    def __init__(self, name):
        self.name = name
        self.promised = (0, None)  # Term and vote that others have acted on: outlives a restart.
        self.durable = 0
        self.base = (0, 0)
        self.terms = []

    def boot(self, line):
        self.base = (line["baseIndex"], line["baseTerm"])
        last = line["after"]["lastLogIndex"]
        runs = line["log"]
        ends = [run["from"] for run in runs[1:]] + [last + 1]
        self.terms = [run["term"] for run, end in zip(runs, ends) for _ in range(run["from"], end)]
        self.role = "Follower"
        self.term, self.vote = line["after"]["currentTerm"], line["after"]["votedFor"]
        self.commit = line["after"]["commitIndex"]
        self.durable = line["after"]["durableIndex"]
        self.votes, self.pre_votes, self.match = set(), set(), {}
        self.told_to_stand = False
        self.reads = {}

    def last(self):
        return self.base[0] + len(self.terms)

    def term_at(self, index):
        if index == self.base[0]:
            return self.base[1]
        place = index - self.base[0] - 1
        return self.terms[place] if 0 <= place < len(self.terms) else None

    def holds(self, index, term):
        return self.term_at(index) == term

    def last_term(self):
        return self.term_at(self.last())

    def is_up_to_date(self, message):
        """Raft 5.4.1, of the candidate that sent this."""
        return (message["mlastLogTerm"], message["mlastLogIndex"]) >= (self.last_term(), self.last())

    def become_follower(self):
        self.role = "Follower"
        self.votes, self.pre_votes, self.match = set(), set(), {}

    def state(self):
        return {"state": self.role, "currentTerm": self.term, "votedFor": self.vote,
                "lastLogTerm": self.last_term(), "lastLogIndex": self.last(),
                "commitIndex": self.commit}


def quorum(configuration, have):
    """In both halves of a joint configuration."""
    halves = [configuration["voters"]] + ([configuration["outgoing"]] if "outgoing" in configuration
                                          else [])
    return all(2 * len(have & set(half)) > len(half) for half in halves)


def configuration_in(entry):
    return {key: entry[key] for key in ("voters", "outgoing") if key in entry}


class Checker:
    def __init__(self):
        self.servers = {}
        self.on_the_way = Counter()
        self.leaders = {}         # term -> who
        self.decided = {}         # index -> term
        self.decided_through = 0
        self.configurations = {}  # (index, term) -> what the entry there says
        self.lines = 0

    # --- Lines ---

    def check(self, line):
        self.lines += 1
        require(line["n"] == self.lines, "no line is missing")
        action = line["action"]
        require(action in ACTIONS, "an action has a name of the table")
        server = self.servers.setdefault(line["server"], Server(line["server"]))
        require(action in ("Restart", *ENVIRONMENT) or hasattr(server, "role"),
                "a server starts before it acts")
        ACTIONS[action](self, server, line)
        if "after" in line:
            self.compare(server, line)

    def compare(self, server, line):
        after = dict(line["after"])
        durable = after.pop("durableIndex")
        may_rise = line["action"] in ("Restart", "Persist")
        require(may_rise or durable <= server.durable, "only a disk that is done makes durable")
        server.durable = durable
        require(durable <= server.last(), "what is durable is in the log")
        for key, value in server.state().items():
            require(after[key] == value, f"{key} is {json.dumps(value)} after this")
        for index in range(self.decided_through + 1, server.commit + 1):
            self.decided[index] = server.term_at(index)
        self.decided_through = max(self.decided_through, server.commit)
        require(self.decided.get(server.commit, server.term_at(server.commit)) ==
                server.term_at(server.commit), "no two servers commit differently")

    # --- Messages ---

    def key(self, line, message, outbound):
        ends = (line["server"], line["peer"])
        # A leader that read an entry from its disk does not look into it, and tells no voters.
        entries = [(entry["term"], entry["value"]) for entry in message.get("mentries", [])]
        rest = {**message, "mentries": entries}
        return (ends if outbound else ends[::-1]) + (json.dumps(rest, sort_keys=True),)

    def send(self, line, message):
        require(line["peer"] != line["server"], "a server sends itself nothing")
        self.on_the_way[self.key(line, message, True)] += 1

    def find(self, line):
        require(self.on_the_way[self.key(line, line["message"], False)] > 0,
                "a message was sent before it is received")
        return line["message"]

    def take(self, line):
        message = self.find(line)
        self.on_the_way[self.key(line, message, False)] -= 1
        self.remember_promise(self.servers[line["peer"]], line["peer"], line["server"], message)
        return message

    @staticmethod
    def remember_promise(sender, name, receiver, message):
        kind, term = message["mtype"], message["mterm"]
        if kind.startswith("PreVote"):
            return
        vote = None
        if kind == "RequestVoteRequest":
            vote = name
        elif kind == "RequestVoteResponse" and message["mvoteGranted"]:
            vote = receiver
        known_term, known_vote = sender.promised
        if term > known_term:
            sender.promised = (term, vote)
        elif term == known_term and vote:
            require(known_vote in (None, vote), "a vote goes to one candidate in a term")
            sender.promised = (term, vote)

    def reply(self, line, expected):
        require("reply" in line, "a request of this kind is answered")
        for key, value in expected.items():
            require(line["reply"][key] == value, f"{key} of the answer is {json.dumps(value)}")
        self.send(line, line["reply"])

    # --- Configurations ---

    def set_configurations(self, server, line):
        server.configurations = [(server.base[0], line["committedConfiguration"])]
        for index in range(server.commit + 1, server.last() + 1):
            self.learn(server, index)
        require(server.configurations[-1][1] == line["configuration"],
                "the configuration in force is the last one in the log")

    def learn(self, server, index):
        configuration = self.configurations.get((index, server.term_at(index)))
        if configuration:
            server.configurations.append((index, configuration))

    def truncate(self, server, index):
        del server.terms[index - server.base[0]:]
        while server.configurations[-1][0] > index:
            server.configurations.pop()

    def append(self, server, entry):
        server.terms.append(entry["term"])
        if entry["value"] == "configuration":
            self.configurations[(server.last(), entry["term"])] = configuration_in(entry)
            self.learn(server, server.last())

    def in_force(self, server):
        return server.configurations[-1][1]

    # --- Actions of the specification ---

    def restart(self, server, line):
        known = {index: server.term_at(index)
                 for index in range(server.base[0] + 1, server.durable + 1)}
        server.boot(line)
        term, vote = server.promised
        require(server.term >= term, "a restart keeps the term that others were told")
        if server.term == term and vote:
            require(server.vote == vote, "a restart keeps the vote that others were told")
        require(all(server.holds(index, term) for index, term in known.items()
                    if index > server.base[0]), "a restart keeps what was durable")
        self.set_configurations(server, line)

    def update_term(self, server, line):
        message = self.find(line)
        require(message["mterm"] > server.term, "UpdateTerm needs a later term")
        require(not message["mtype"].startswith("PreVote") or message.get("mvoteGranted") is False,
                "nobody enters the term of a pre-vote")
        server.term, server.vote = message["mterm"], None
        server.become_follower()

    def timeout(self, server, line):
        require(server.role != "Leader", "a leader does not stand for election")
        require(server.told_to_stand or quorum(self.in_force(server), server.pre_votes),
                "who stands has the pre-votes of a majority, or its leader's word")
        server.become_follower()
        server.term += 1
        server.vote = server.name
        server.role = "Candidate"
        server.votes = {server.name}
        server.told_to_stand = False

    def request_vote(self, server, line):
        message = line["message"]
        require(server.role == "Candidate", "a candidate asks for votes")
        require(message["mterm"] == server.term, "a candidate asks for votes of its term")
        self.names_own_log(server, message)
        self.send(line, message)

    @staticmethod
    def names_own_log(server, message):
        require((message["mlastLogIndex"], message["mlastLogTerm"]) ==
                (server.last(), server.last_term()), "a message names the sender's last entry")

    def become_leader(self, server, line):
        require(server.role in ROLES_THAT_COUNT_VOTES, "a candidate becomes leader")
        require(server.vote == server.name, "a leader has its own vote")
        require(quorum(self.in_force(server), server.votes), "a leader has the votes of a majority")
        require(self.leaders.setdefault(server.term, server.name) == server.name,
                "a term has one leader")
        lacks = [i for i, term in self.decided.items()
                 if i > server.base[0] and not server.holds(i, term)]
        require(not lacks, "a leader has every entry that was decided")
        server.role, server.match = "Leader", {}

    def client_request(self, server, line):
        require(server.role == "Leader", "a leader appends")
        require(line["entry"]["term"] == server.term, "a leader appends entries of its term")
        self.append(server, line["entry"])

    def append_entries(self, server, line):
        message = line["message"]
        self.leads_in(server, message)
        prev = message["mprevLogIndex"]
        require(server.holds(prev, message["mprevLogTerm"]), "a leader sends what follows its log")
        for offset, entry in enumerate(message["mentries"], 1):
            require(server.holds(prev + offset, entry["term"]), "a leader sends entries of its log")
        require(message["mcommitIndex"] <= server.commit, "a leader tells of commits that it knows")
        self.send(line, message)

    @staticmethod
    def leads_in(server, message):
        require(server.role == "Leader" and message["mterm"] == server.term,
                "who sends this leads the term that it names")

    def advance_commit_index(self, server, line):
        require(server.role == "Leader", "a leader counts")
        index = line["after"]["commitIndex"]
        require(index > server.commit, "the commit index goes up")
        require(server.term_at(index) == server.term, "only entries of the own term are counted")
        have = {name for name, match in server.match.items() if match >= index}
        if line["after"]["durableIndex"] >= index:
            have.add(server.name)
        require(quorum(self.in_force(server), have), "what is committed is durable on a majority")
        server.commit = index

    def handle_request_vote_request(self, server, line):
        message = self.take(line)
        require(message["mterm"] <= server.term, "UpdateTerm comes first")
        granted = (message["mterm"] == server.term and server.is_up_to_date(message) and
                   server.vote in (None, line["peer"]))
        if granted:
            server.vote = line["peer"]
        self.reply(line, {"mterm": server.term, "mvoteGranted": granted})

    def handle_request_vote_response(self, server, line):
        message = self.take(line)
        require(message["mterm"] <= server.term, "UpdateTerm comes first")
        if message["mvoteGranted"]:
            require(message["mterm"] == server.term, "a vote is for its term alone")
            require(server.role in ROLES_THAT_COUNT_VOTES, "a candidate counts votes")
            server.votes.add(line["peer"])
        if "mcommitIndex" in message:  # Told to a candidate that is no voter any more.
            self.hear_committed(server, message)

    @staticmethod
    def hear_committed(server, message):
        if server.holds(message["mcommitIndex"], message["mcommitTerm"]):
            server.commit = max(server.commit, message["mcommitIndex"])

    def handle_append_entries_request(self, server, line):
        message = self.take(line)
        if not self.follow(server, line, message):
            return self.reply(line, {"mterm": server.term, "msuccess": False})
        prev = message["mprevLogIndex"]
        if prev >= server.base[0] and not server.holds(prev, message["mprevLogTerm"]):
            return self.reply(line, {"mterm": server.term, "msuccess": False,
                                     "mprevLogIndex": prev})
        for offset, entry in enumerate(message["mentries"], 1):
            index = prev + offset
            if index <= server.base[0] or server.holds(index, entry["term"]):
                continue
            require(index > server.commit, "what is committed stays")
            self.truncate(server, index - 1)
            self.append(server, entry)
        verified = prev + len(message["mentries"])
        server.commit = max(server.commit, min(message["mcommitIndex"], verified))
        self.reply(line, {"mterm": server.term, "msuccess": True, "mmatchIndex": verified})

    @staticmethod
    def follow(server, line, message):
        """Whether the sender is a leader to follow."""
        require(message["mterm"] <= server.term, "UpdateTerm comes first")
        if message["mterm"] < server.term:
            return False
        require(server.role != "Leader", "a term has one leader")
        if server.role != "Follower":
            server.become_follower()
        return True

    def handle_append_entries_response(self, server, line):
        message = self.take(line)
        require(message["mterm"] == server.term, "an answer of another term is not heard")
        if server.role != "Leader":
            return
        require(message["mmatchIndex"] <= server.last(), "nobody acknowledges more than there is")
        if message["msuccess"]:
            known = server.match.get(line["peer"], 0)
            server.match[line["peer"]] = max(known, message["mmatchIndex"])

    def drop_stale_response(self, server, line):
        message = self.take(line)
        names_next = message["mtype"] == "PreVoteResponse" and message["mvoteGranted"]
        require(message["mterm"] < server.term + (1 if names_next else 0),
                "a stale response is of an earlier term")

    def duplicate_message(self, _, line):
        key = self.key(line, line["message"], True)
        require(self.on_the_way[key] > 0, "a message was sent before it is repeated")
        self.on_the_way[key] += 1

    def drop_message(self, _, line):
        key = self.key(line, line["message"], True)
        require(self.on_the_way[key] > 0, "a message was sent before it is lost")
        self.on_the_way[key] -= 1

    # --- Actions of ours ---

    def leftover_message(self, _, line):
        self.send(line, line["message"])

    def start_pre_vote(self, server, line):
        require(server.role != "Leader", "a leader does not stand for election")
        server.role, server.pre_votes = "PreCandidate", {server.name}

    def request_pre_vote(self, server, line):
        message = line["message"]
        require(server.role == "PreCandidate", "a pre-candidate asks for pre-votes")
        require(message["mterm"] == server.term + 1, "a pre-vote is about the next term")
        self.names_own_log(server, message)
        self.send(line, message)

    def handle_pre_vote_request(self, server, line):
        message = self.take(line)
        granted = message["mterm"] > server.term and server.is_up_to_date(message)
        self.reply(line, {"mvoteGranted": granted,
                          "mterm": message["mterm"] if granted else server.term})

    def handle_pre_vote_response(self, server, line):
        message = self.take(line)
        if message["mvoteGranted"]:
            require(server.role == "PreCandidate", "a pre-candidate counts pre-votes")
            require(message["mterm"] == server.term + 1, "a pre-vote is about the next term")
            server.pre_votes.add(line["peer"])

    def heartbeat(self, server, line):
        message = line["message"]
        self.leads_in(server, message)
        require(message["mcommitIndex"] <= server.commit, "a leader tells of commits that it knows")
        require(server.holds(message["mcommitIndex"], message["mcommitTerm"]),
                "a heartbeat names an entry of the log")
        self.send(line, message)

    def handle_heartbeat_request(self, server, line):
        message = self.take(line)
        if not self.follow(server, line, message):
            return self.reply(line, {"mterm": server.term, "mround": 0})
        self.hear_committed(server, message)
        self.reply(line, {"mterm": server.term, "mround": message["mround"],
                          "mlastLogIndex": server.last()})

    def handle_heartbeat_response(self, server, line):
        require(self.take(line)["mterm"] == server.term, "an answer of another term is not heard")

    def persist(self, server, line):
        require(line["after"]["durableIndex"] > server.durable, "Persist makes more durable")

    def step_down(self, server, line):
        require(server.role == "Leader", "a leader steps down")
        server.become_follower()

    def refuse_message(self, server, line):
        message = self.take(line)
        require(line["why"] not in ("", "none"), "a refusal has a reason")
        from_leader = message["mtype"] in ("AppendEntriesRequest", "HeartbeatRequest")
        if from_leader and message["mterm"] == server.term and server.role in ROLES_THAT_COUNT_VOTES:
            if line["after"]["state"] == "Follower":
                server.become_follower()
        if "reply" in line:
            self.send(line, line["reply"])

    def read_index(self, server, line):
        server.reads[line["read"]] = self.decided_through

    def request_read_index(self, server, line):
        require(server.role != "Leader", "a leader asks nobody for an index")
        require(line["message"]["mterm"] == server.term, "who asks names its term")
        self.send(line, line["message"])

    def handle_read_index_request(self, server, line):
        message = self.take(line)
        self.leads_in(server, message)

    def answer_read_index(self, server, line):
        message = line["message"]
        require(message["mterm"] == server.term, "who answers names its term")
        require(not message["mconfirmed"] or server.role == "Leader", "a leader confirms reads")
        require(message["mindex"] <= server.commit, "a read is told of what is committed")
        self.send(line, message)

    def handle_read_index_response(self, server, line):
        require(self.take(line)["mterm"] == server.term, "an answer of another term is not heard")

    def finish_read(self, server, line):
        require(line["read"] in server.reads, "a read ends once")
        floor = server.reads.pop(line["read"])
        require("index" in line or line.get("why"), "a read has an index or a reason")
        require(line.get("index", floor) >= floor, "a read is at or above what was decided before it")

    def transfer_leadership(self, server, line):
        pass

    def timeout_now(self, server, line):
        self.leads_in(server, line["message"])
        self.names_own_log(server, line["message"])
        self.send(line, line["message"])

    def handle_timeout_now(self, server, line):
        message = self.take(line)
        require(message["mterm"] == server.term, "the leader of the own term gives the order")
        self.names_own_log(server, message)
        server.told_to_stand = True

    def end_transfer(self, server, line):
        require(line.get("why"), "a hand-over ends somehow")

    def change_membership(self, server, line):
        require(line["why"] != "none" or server.role == "Leader", "a leader changes the members")

    def change_configuration(self, server, line):
        require(self.in_force(server) == configuration_in(line),
                "the configuration in force is the last one in the log")

    def unexplained(self, server, line):
        raise Refused("a step does what its actions say, and nothing else")


ENVIRONMENT = ("DuplicateMessage", "DropMessage", "LeftoverMessage")
ACTIONS = {"".join(word.capitalize() for word in name.split("_")): getattr(Checker, name)
           for name in """
    restart timeout request_vote become_leader client_request advance_commit_index append_entries
    handle_request_vote_request handle_request_vote_response handle_append_entries_request
    handle_append_entries_response update_term drop_stale_response duplicate_message drop_message
    leftover_message start_pre_vote request_pre_vote handle_pre_vote_request
    handle_pre_vote_response heartbeat handle_heartbeat_request handle_heartbeat_response persist
    step_down refuse_message read_index request_read_index handle_read_index_request
    handle_read_index_response answer_read_index finish_read transfer_leadership timeout_now
    handle_timeout_now end_transfer change_membership change_configuration unexplained
    """.split()}


def complaint_about(lines):
    """How often each action was seen, and what is wrong with the first line that may not happen."""
    checker, seen = Checker(), Counter()
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            checker.check(line)
            seen[line["action"]] += 1
        except Refused as refused:
            return seen, f"line {number}: {line['action']} of {line['server']}: {refused}"
        except (ValueError, KeyError, TypeError) as broken:
            return seen, f"line {number}: a line is a JSON object of the known form: {broken!r}"
    if not seen:
        return seen, "the trace is empty"
    return seen, None


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            seen, complaint = complaint_about(file)
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
    if complaint:
        sys.exit(f"{sys.argv[1]}: {complaint}")
    print(f"{sum(seen.values())} lines, every one of which may happen")
    for action, count in sorted(seen.items()):
        print(f"  {action:30} {count:8}")


if __name__ == "__main__":
    main()

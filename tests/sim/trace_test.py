#!/usr/bin/env python3
"""Traces of Raft from whole simulated clusters: they repeat, they may all happen, and one that was
doctored is refused by the rule that it breaks.

usage: trace_test.py KUILT_SIM
"""
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import check_trace  # noqa: E402

SIMULATOR = sys.argv.pop()
SEEDS = range(1, 13)
EVERY_ACTION_OF_THE_SPECIFICATION = {
    "Restart", "Timeout", "RequestVote", "BecomeLeader", "ClientRequest", "AdvanceCommitIndex",
    "AppendEntries", "HandleRequestVoteRequest", "HandleRequestVoteResponse",
    "HandleAppendEntriesRequest", "HandleAppendEntriesResponse", "UpdateTerm", "DropStaleResponse",
    "DuplicateMessage", "DropMessage"}


@functools.cache
def trace_of(seed):
    return run(seed)


def run(seed):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "trace")
        subprocess.run([SIMULATOR, "--seed", str(seed), "--quick", "--raft-trace", file],
                       check=True, stdout=subprocess.DEVNULL)
        return file.read_text().splitlines()


class Traces(unittest.TestCase):
    def test_every_line_of_a_run_may_happen(self):
        seen = set()
        for seed in SEEDS:
            actions, complaint = check_trace.complaint_about(trace_of(seed))
            self.assertIsNone(complaint, f"seed {seed}")
            seen |= set(actions)

        self.assertEqual(EVERY_ACTION_OF_THE_SPECIFICATION - seen, set())
        self.assertNotIn("Unexplained", seen)

    def test_a_seed_gives_one_trace(self):
        self.assertEqual(run(3), run(3))
        self.assertNotEqual(run(3), run(4))

    def test_code_checker_and_document_have_the_same_names(self):
        code = (ROOT / "src/raft/trace_lines.cpp").read_text()
        names = set(re.findall(r'case Action::\w+: return "(\w+)";', code))
        table = (ROOT / "docs/testing.md").read_text().split("| action | what it is |")[1]
        rows = [row.split("|")[1] for row in table.split("\n\n")[0].splitlines()[2:]]

        self.assertEqual(names, set(check_trace.ACTIONS))
        self.assertEqual(names, set(re.findall(r"`(\w+)`", " ".join(rows))))

    def test_who_asks_for_a_trace_of_many_seeds_is_refused(self):
        done = subprocess.run([SIMULATOR, "--seeds", "2", "--raft-trace", "/dev/null"],
                              capture_output=True, text=True)

        self.assertEqual(done.returncode, 2)
        self.assertIn("of one seed", done.stderr)

    def test_a_file_that_can_not_be_written_is_named(self):
        done = subprocess.run([SIMULATOR, "--quick", "--raft-trace", "/no/such/folder/file"],
                              capture_output=True, text=True)

        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/folder/file", done.stderr)

    def test_a_full_disk_is_no_whole_trace(self):
        done = subprocess.run([SIMULATOR, "--quick", "--raft-trace", "/dev/full"],
                              capture_output=True, text=True)

        self.assertEqual(done.returncode, 1)
        self.assertIn("/dev/full", done.stderr)


class Doctored(unittest.TestCase):
    def find(self, holds):
        """The lines of the first run that has such a line, and where that is."""
        for seed in SEEDS:
            lines = [json.loads(line) for line in trace_of(seed)]
            for place in range(1, len(lines)):
                if holds(lines, place):
                    return lines, place
        return self.fail("no run has anything to doctor here")

    @staticmethod
    def others(lines, *two):
        return sorted({line["server"] for line in lines} - set(two))

    def find_action(self, action, holds=lambda line: True):
        return self.find(lambda lines, i: lines[i]["action"] == action and holds(lines[i]))

    def find_pair(self, before, action):
        return self.find(lambda lines, i: lines[i]["action"] == action and
                         lines[i - 1]["action"] == before)

    def assert_refused(self, lines, sentence):
        for number, line in enumerate(lines, 1):
            line["n"] = number
        complaint = check_trace.complaint_about(map(json.dumps, lines))[1]
        self.assertIsNotNone(complaint, "it was not noticed")
        self.assertIn(sentence, complaint)

    def assert_refused_a_line_early(self, found, sentence):
        lines, place = found
        lines.insert(place - 1, lines.pop(place))
        self.assert_refused(lines, sentence)

    def assert_refused_without(self, found, sentence):
        lines, place = found
        del lines[place]
        self.assert_refused(lines, sentence)

    def assert_refused_with(self, found, change, sentence):
        lines, place = found
        change(lines[place])
        self.assert_refused(lines, sentence)

    def test_missing_line(self):
        lines = trace_of(3)[:20] + trace_of(3)[21:]

        self.assertIn("line 21: ", check_trace.complaint_about(lines)[1])
        self.assertIn("no line is missing", check_trace.complaint_about(lines)[1])

    def test_vote_that_is_given_twice(self):
        def has_a_rival(lines, place):
            line = lines[place]
            return line["action"] == "HandleRequestVoteRequest" and line["reply"]["mvoteGranted"] \
                and self.others(lines, line["server"], line["peer"])

        lines, place = self.find(has_a_rival)
        granted = lines[place]
        rival = self.others(lines, granted["server"], granted["peer"])[0]
        asked = {"at": 0, "server": rival, "action": "LeftoverMessage", "peer": granted["server"],
                 "message": granted["message"]}
        again = {**granted, "peer": rival, "after": {**granted["after"], "votedFor": rival}}
        lines[place + 1:place + 1] = [asked, again]

        self.assert_refused(lines, "mvoteGranted of the answer is false")

    def test_vote_that_is_withheld(self):
        found = self.find_action("HandleRequestVoteRequest",
                                 lambda line: line["reply"]["mvoteGranted"])

        self.assert_refused_with(found, lambda line: line["reply"].update(mvoteGranted=False),
                                 "mvoteGranted of the answer is true")

    def test_vote_that_changes_without_a_word(self):
        found = self.find_action("HandleAppendEntriesRequest",
                                 lambda line: line["after"]["votedFor"])

        self.assert_refused_with(found, lambda line: line["after"].update(votedFor=None),
                                 "votedFor is")

    def test_leader_without_votes(self):
        self.assert_refused_a_line_early(
            self.find_pair("HandleRequestVoteResponse", "BecomeLeader"),
            "a leader has the votes of a majority")

    def test_candidate_without_pre_votes(self):
        self.assert_refused_a_line_early(self.find_pair("HandlePreVoteResponse", "Timeout"),
                                         "the pre-votes of a majority")

    def test_commit_without_a_majority(self):
        self.assert_refused_a_line_early(
            self.find_pair("HandleAppendEntriesResponse", "AdvanceCommitIndex"),
            "what is committed is durable on a majority")

    def test_commit_that_goes_down(self):
        self.assert_refused_with(self.find_action("AdvanceCommitIndex"),
                                 lambda line: line["after"].update(commitIndex=0),
                                 "the commit index goes up")

    def test_message_that_nobody_sent(self):
        self.assert_refused_without(self.find_action("RequestVote"),
                                    "a message was sent before it is")

    def test_term_that_is_entered_without_a_word(self):
        lines, place = self.find_pair("UpdateTerm", "HandleAppendEntriesRequest")

        self.assert_refused_without((lines, place - 1), "UpdateTerm comes first")

    def test_entry_of_another_term(self):
        self.assert_refused_with(self.find_action("ClientRequest"),
                                 lambda line: line["entry"].update(term=99),
                                 "a leader appends entries of its term")

    def test_entries_that_the_leader_does_not_have(self):
        found = self.find_action("AppendEntries", lambda line: line["message"]["mentries"])

        self.assert_refused_with(found,
                                 lambda line: line["message"]["mentries"][0].update(term=99),
                                 "a leader sends entries of its log")

    def test_restart_that_forgets(self):
        def was_heard_in_its_term(lines, place):
            restart = lines[place]
            return restart["action"] == "Restart" and any(
                line["action"].startswith("Handle") and line["peer"] == restart["server"] and
                not line["message"]["mtype"].startswith("PreVote") and
                line["message"]["mterm"] == restart["after"]["currentTerm"]
                for line in lines[:place])

        self.assert_refused_with(self.find(was_heard_in_its_term),
                                 lambda line: line["after"].update(currentTerm=0),
                                 "a restart keeps the term that others were told")

    def test_restart_that_loses_entries(self):
        def had_more(lines, place):
            restart = lines[place]
            return restart["action"] == "Restart" and any(
                line["server"] == restart["server"] and
                line.get("after", {}).get("durableIndex", 0) > restart["baseIndex"] + 1
                for line in lines[:place])

        def lose(line):
            line["log"] = line["log"][:1]
            line["after"].update(lastLogIndex=line["baseIndex"] + 1, commitIndex=line["baseIndex"],
                                 durableIndex=line["baseIndex"] + 1)

        self.assert_refused_with(self.find(had_more), lose, "a restart keeps what was durable")

    def test_read_of_the_past(self):
        found = self.find_action("FinishRead", lambda line: line.get("index", 0) > 10)

        self.assert_refused_with(found, lambda line: line.update(index=1),
                                 "a read is at or above what was decided before it")

    def test_response_of_this_term_that_is_dropped_as_stale(self):
        self.assert_refused_with(self.find_action("HandleAppendEntriesResponse"),
                                 lambda line: line.update(action="DropStaleResponse"),
                                 "a stale response is of an earlier term")

    def test_step_that_nothing_explains(self):
        self.assert_refused_with(self.find_action("Persist"),
                                 lambda line: line.update(action="Unexplained"),
                                 "a step does what its actions say")

    def test_action_that_no_table_has(self):
        self.assert_refused_with(self.find_action("Persist"),
                                 lambda line: line.update(action="Hope"),
                                 "an action has a name of the table")

    def test_line_that_is_no_json(self):
        complaint = check_trace.complaint_about(["{"])[1]

        self.assertIn("a line is a JSON object of the known form", complaint)

    def test_trace_of_nothing(self):
        self.assertEqual(check_trace.complaint_about([])[1], "the trace is empty")


if __name__ == "__main__":
    unittest.main()

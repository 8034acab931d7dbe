# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests of Python's own suite and prints one line for each: "pass NAME", "fail NAME" or
"skip NAME", in the file RESULT. What a test prints itself goes to standard error.
A test that takes longer than SECONDS ends the run; one whose name matches EXCLUDED is left out.
usage: RESULT SECONDS EXCLUDED MODULE-OR-TEST..."""
import faulthandler
import os
import re
import sys
import unittest

from test import support

result_file = open(sys.argv[1], "w", buffering=1)
seconds = int(sys.argv[2])
excluded = re.compile(sys.argv[3])
owner = os.getpid()
sys.stdout = sys.stderr
# "network" is what some modules ask for before they use loopback; nothing else is reachable here.
support.use_resources = ["network"]


class Lines(unittest.TestResult):
    """One line a test; a subtest that fails is its test's failure."""

    def startTest(self, test):
        super().startTest(test)
        self.verdict = "pass"
        faulthandler.dump_traceback_later(seconds, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        if os.getpid() == owner:
            result_file.write(f"{self.verdict} {test.id()}\n")

    def failed(self, test, error):
        self.verdict = "fail"
        sys.stderr.write(f"{test}\n{self._exc_info_to_string(error, test)}\n")

    def addError(self, test, error):
        self.failed(test, error)

    def addFailure(self, test, error):
        self.failed(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.failed(subtest, error)

    def addSkip(self, test, reason):
        self.verdict = "skip"


def without_excluded(suite):
    """The same suite, with the structure that class and module fixtures need."""
    kept = type(suite)()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(without_excluded(test))
        elif not excluded.search(test.id()):
            kept.addTest(test)
    return kept


lines = Lines()
for name in sys.argv[4:]:
    without_excluded(unittest.defaultTestLoader.loadTestsFromName(name)).run(lines)
result_file.write("end\n")
sys.stderr.flush()
os._exit(0)  # threads that a failed test has left behind

"""What the tests measured, printed after them, from whichever worker it comes."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the summaries that tests recorded."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [
        str(value)
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "summary"
    ]
    bugs = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "planted bug found" and report.when == "call"
    ]
    if bugs:
        deep = bugs.count("deep")
        told.append(
            f"planted bugs\n{len(bugs)} found, {deep} of them by walks alone, after more than 10"
            " events"
        )
    for summary in dict.fromkeys(told):
        title, *lines = summary.splitlines()
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)

import io
import json

import pytest

from bench.report import BadReport, report

FIELDS = ("rows", "rate_per_s", "exact", "note")
RUN = {"rate_per_s": 12345.6, "rows": 1000, "exact": True, "note": "二回目 | b\nc"}


def _printed(runs: list[dict]) -> list[str]:
    out = io.StringIO()
    report("bench-send", FIELDS, runs, out)
    return out.getvalue().splitlines()


def test_the_last_line_is_the_whole_result_as_json():
    runs = [RUN, RUN | {"rows": 2000, "note": None}]
    told = json.loads(_printed(runs)[-1])
    assert told == {"name": "bench-send", "runs": runs}
    assert [list(run) for run in told["runs"]] == [list(FIELDS)] * 2


def test_the_table_shows_every_run_under_the_fields():
    lines = _printed([RUN | {"note": "first"}, RUN | {"rows": 9, "exact": False, "rate_per_s": 0.0123, "note": None}])
    assert lines[1] == "bench-send"
    assert lines[2].split() == list(FIELDS)
    assert lines[3].split() == ["1,000", "12,346", "yes", "first"]
    assert lines[4].split() == ["9", "0.0123", "no", "-"]


@pytest.mark.parametrize(
    ("runs", "word"),
    [
        ([], "no run"),
        ([RUN, {name: value for name, value in RUN.items() if name != "rows"}], "run 2: missing fields ['rows']"),
        ([RUN | {"speed": 1}], "undeclared fields ['speed']"),
        ([RUN | {"rows": float("nan")}], "rows is no finite"),
        ([RUN | {"rows": float("inf")}], "rows is no finite"),
        ([RUN | {"note": ["a"]}], "note is no finite"),
    ],
)
def test_runs_that_are_not_as_declared_are_refused_before_anything_is_printed(runs, word):
    out = io.StringIO()
    with pytest.raises(BadReport, match=word.replace("[", r"\[").replace("]", r"\]")):
        report("bench-send", FIELDS, runs, out)
    assert out.getvalue() == ""

"""The helpers of ``scripts/bench``, as far as they decide something."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from pydantic import TypeAdapter

from scripts.benchmarks import __main__ as bench, growth, measure, progress, replay
from scripts.benchmarks.chart import Panel, draw
from scripts.benchmarks.children import ROOT
from scripts.benchmarks.documents import Records, deltas, records
from scripts.benchmarks.options import Options
from scripts.benchmarks.report import Bar, Section, Table, as_json, as_markdown, as_text, missed
from structstream.testing.cassettes import read_interactions


@pytest.mark.parametrize(
    ("bar", "met", "verdict"),
    [
        (Bar("growth", 2.0, 2.1), True, "met"),
        (Bar("growth", 2.1, 2.1), True, "met"),
        (Bar("growth", 2.2, 2.1), False, "MISSED"),
        (Bar("speed", 16.0, 15.0, "MB/s", "at least"), True, "met"),
        (Bar("speed", 14.0, 15.0, "MB/s", "at least"), False, "MISSED"),
        (Bar("time", 90.0, 60.0, "ms", portable=False), False, "missed on this machine"),
        (Bar("peer", None, 1.5), None, "not measured"),
    ],
)
def test_a_bar_is_met_missed_or_not_measured(bar: Bar, met: bool | None, verdict: str) -> None:
    assert (bar.met, bar.verdict) == (met, verdict)


def section(*bars: Bar) -> Section:
    table = Table("CPU ms", ("client", "4 KB"), [("ours", 1234.5), ("theirs | other", None)])
    return Section("parse", "Parse", [table], bars, ["A note."], {"ours": 1.0})


def test_only_what_any_machine_can_judge_counts_as_missed() -> None:
    ratio, seconds = Bar("ratio", 3.0, 1.5), Bar("seconds", 3.0, 1.5, portable=False)
    assert missed([section(seconds, Bar("met", 1.0, 1.5), Bar("unknown", None, 1)), section(ratio)]) == [ratio]


@pytest.mark.parametrize(("measured", "judge", "code"), [(1.0, True, 0), (3.0, True, 1), (3.0, False, 0)])
def test_a_missed_bar_is_the_exit_code(
    measured: float, judge: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(bench.SECTIONS, "parse", lambda options: section(Bar("ratio", measured, 1.5)))
    assert bench.main(["parse", *([] if judge else ["--no-judge"])]) == code
    assert ("missed: ratio: 3, wanted at most 1.5" in capsys.readouterr().out) == (measured > 1.5)


def test_a_table_is_aligned_in_the_terminal_and_escaped_in_markdown() -> None:
    found = section(Bar("ratio", 1.0, 1.5, "x"))
    assert "ours            1,234\ntheirs | other      -" in as_text(found)
    assert "| client | 4 KB |\n| --- | ---: |\n| ours | 1,234 |\n| theirs \\| other | - |" in as_markdown(found)
    assert "| ratio | 1 | at most 1.5 x | met |" in as_markdown(found)


def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("figures")
    bench.write(folder, {"cores": "2"}, [section(Bar("ratio", 1.0, 1.5))])
    whole = json.loads((folder / "bench.json").read_text())
    assert whole["machine"] == {"cores": "2"}
    assert whole["sections"] == json.loads(json.dumps([as_json(section(Bar("ratio", 1.0, 1.5)))]))
    assert whole["sections"][0]["bars"][0]["met"] is True
    assert "- cores: 2" in (folder / "bench.md").read_text()
    assert ET.parse(folder / "bench.svg").getroot().get("role") == "img"


def test_growth_tells_linear_from_quadratic() -> None:
    sizes = [1000, 2000, 4000, 8000]
    assert measure.doublings([size * 3.0 for size in sizes], sizes) == [2.0, 2.0, 2.0]
    assert measure.growth([size**2.0 for size in sizes], sizes) == 4.0
    assert measure.growth([1.0, 27.0], [1, 8]) == 3.0


def test_the_ratio_is_that_within_each_round() -> None:
    assert measure.ratio({"a": [10.0, 100.0, 30.0], "b": [1.0, 10.0, 2.0]}, "a", "b") == 10.0
    assert measure.ratio({"slow, once": [50.0], "b": [5.0, 1.0]}, "slow, once", "b") == 10.0


def test_each_case_is_measured_in_each_round_and_a_long_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(measure, "cpu", lambda run: run())

    def case(name: str, seconds: float) -> float:
        calls.append(name)
        return seconds

    cases = {"short": lambda: case("short", 1.0), "long": lambda: case("long", 99.0)}
    assert measure.interleaved(cases, 3) == {"short": [1.0] * 3, "long": [99.0]}
    assert calls == ["short", "long", "short", "short"]


def test_the_documents_are_what_they_say() -> None:
    text = records(4096)
    assert 4096 <= len(text) < 4096 + 500
    assert len(Records.model_validate_json(text).records) > 5
    assert "".join(deltas(text)) == text


@pytest.mark.parametrize("shape", growth.SHAPES, ids=lambda shape: shape.name)
def test_each_shape_is_read_to_its_end(shape: growth.Shape) -> None:
    looked: list[object] = []
    counted = growth.Shape(
        shape.name, shape.type, shape.text, lambda seen: looked.append(shape.look(seen)), shape.looks
    )
    growth.reader(counted, shape.text(2048))()
    assert len(looked) > 90


def test_percent_is_measured_against_the_share_of_characters() -> None:
    text = json.dumps([1] * 40)
    known = progress.Typical()
    learning = [progress.error_of(list[int], text, known) for _ in range(6)]
    assert learning[-1] < 2 < progress.error_of(list[int], text)


def test_a_type_is_made_of_a_recorded_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "STRING"}, "b": {"type": "array", "items": {"$ref": "#/$defs/C"}}, "c": {}},
        "required": ["a"],
        "$defs": {"C": {"anyOf": [{"enum": ["x", 1]}, {"type": "object"}, {"type": "null"}]}},
    }
    model = progress.made(schema)
    assert TypeAdapter(model).validate_json('{"a": "b", "b": ["x", 1, {"k": 2}, null]}').a == "b"
    assert progress.schemas_of({"tools": [{"function": {"name": "f", "parameters": schema}}]})["f"] == schema
    assert progress.schemas_of({"response_format": {"json_schema": {"schema": schema}}})[""] == schema


def test_a_picture_has_a_bar_for_each_figure_and_no_panel_without_figures() -> None:
    image = ET.fromstring(draw([Panel("CPU ms", {"structstream": 0.5, "a <peer>": 2000.0}), Panel("None", {})]))
    bars = [node for node in image.iter() if node.tag.endswith("rect")]
    texts = ["".join(node.itertext()) for node in image.iter() if node.tag.endswith("text")]
    assert [bar.get("class") for bar in bars] == ["ours", "bar"]
    assert float(bars[0].get("width", 0)) < float(bars[1].get("width", 0))
    assert {"structstream", "a <peer>", "0.5", "2,000"} <= set(texts)
    assert "None" not in texts


def test_the_default_options_measure_the_usual_three_peers() -> None:
    arguments = bench.parser().parse_args([])
    assert Options(arguments.rounds, arguments.full, arguments.peers) == Options()


def test_gaps_of_a_timed_replay_are_measured_against_the_recorded_ones() -> None:
    (found,) = read_interactions(ROOT / "cassettes" / "openai_chat" / "native" / "complete.yaml")
    made = replay.paced(found, 1)
    assert made.recording.body == found.recording.body
    assert len(replay.errors_of(made, 1000.0)) == len(made.recording.chunks) - 1 > 10
    assert replay.gaps([0.0, 0.5, 2.0]) == [0.5, 1.5]

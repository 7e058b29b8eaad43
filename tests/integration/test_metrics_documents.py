"""docs/metrics.md names exactly what /metrics tells, and the Grafana dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as plain

from services.app import Services
from tests.integration.test_metrics import FULL, SILENT, metrics_of, sample, services  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
BOARD = ROOT / "deploy/grafana/lectern.json"
ROW = r"^\| `(lectern_\w+)` \| (\w+) \|\s*([^|]*?)\s*\|"


def documented() -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(ROW, (ROOT / "docs/metrics.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len({name for name, *_ in rows})
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


@pytest.fixture
def told(services: Services) -> dict[str, tuple[str, set[str]]]:  # noqa: F811
    """Type and labels of everything that a machine tells where everything is known."""
    sample(services, FULL, SILENT)
    services.knowledge.create("Garden")
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
    services.store.keys.count(services.store.keys.create("ci")[0].id, 1, 1)
    services.store.jobs.begin(services.machine_id, "fetch_model", "embedded", "bytes")
    found = {}
    for family in plain(metrics_of(services).page()[0].decode()):
        assert family.documentation
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, {label for one in family.samples for label in one.labels if label != "le"})
    return found


def test_the_document_names_exactly_what_is_told(told: dict[str, tuple[str, set[str]]]) -> None:
    assert documented() == told


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = json.loads(BOARD.read_text("utf-8"))
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"]) and board["title"] and board["schemaVersion"] >= 39
    assert "id" not in board or board["id"] is None  # an id would overwrite a stranger's dashboard
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"] and place["x"] + place["w"] <= 24 and not cells & taken
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_asks_only_for_what_is_told(told: dict[str, tuple[str, set[str]]]) -> None:
    series = {name: labels for name, (kind, labels) in told.items() if kind != "histogram"}
    series |= {f"{name}_bucket": {*labels, "le"} for name, (kind, labels) in told.items() if kind == "histogram"}
    board = json.loads(BOARD.read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 20
    for query in queries:
        names = re.findall(r"\blectern_\w+", query)
        assert names and set(names) <= series.keys(), query
        known = {"instance", *(label for name in names for label in series[name])}
        used = re.findall(r"(\w+)(?:=|!=|=~|!~)\"", query)
        used += [label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")]
        assert set(used) <= known, query
    legends = [target["legendFormat"] for panel in board["panels"] for target in panel.get("targets", ())]
    labels = set().union(*series.values())
    assert {label for legend in legends for label in re.findall(r"{{(\w+)}}", legend)} <= labels

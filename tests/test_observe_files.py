"""Dashboard, alerts and settings that stand in ``docker/`` speak of what the program has."""

from __future__ import annotations

import json
import re

import pytest
from ruamel.yaml import YAML

from tests.conftest import PROJECT
from worker import service_settings
from worker.observe.metrics import Metrics, names

DOCKER = PROJECT / "docker"
DASHBOARD, ALERTS = DOCKER / "grafana" / "bevara.json", DOCKER / "prometheus" / "alerts.yml"
NAME = re.compile(r"\b(?:bevara|process)_[a-z_]+")


def rules() -> list[dict]:
    groups = YAML(typ="safe").load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


@pytest.mark.parametrize("query", [*queries(), *(rule["expr"] for rule in rules())])
def test_every_metric_that_is_asked_for_exists_with_its_labels(query) -> None:
    metrics = Metrics("work")
    labels = {
        family.name: set(getattr(one, "_labelnames", ()))
        for one in vars(metrics).values()
        if hasattr(one, "describe")
        for family in one.describe()
    }
    (build,) = (family for family in metrics.registry.collect() if family.type == "info")
    labels[build.name] = set(build.samples[0].labels)

    assert set(NAME.findall(query)) - names(metrics) <= {"bevara"}
    for name, chosen in re.findall(r"\b(bevara_[a-z_]+)\{([^}]*)\}", query):
        family = re.sub(r"_(total|bucket|sum|count|info)$", "", name)
        assert set(re.findall(r"(\w+)\s*[=!]", chosen)) <= labels[family], query


def test_every_metric_is_shown_or_watched() -> None:
    """A figure that nobody looks at costs for nothing."""
    asked = " ".join([*queries(), *(rule["expr"] for rule in rules())])

    ours = {family.name for family in Metrics("work").registry.collect() if family.name.startswith("bevara_")}
    assert {name for name in ours if name not in asked} == set()


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert len(rule["annotations"]["summary"]) > 10
        assert len(rule["annotations"]["description"]) > 40
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_alarms_about_what_lasts_do_not_ask_for_what_is_new() -> None:
    """A store that is away makes one finding and no second; an auditor that is gone leaves no series behind."""
    asked = {rule["alert"]: rule["expr"] for rule in rules()}

    assert "increase" not in asked["BevaraAuditUnreadable"]
    assert "bevara_audit_open_findings" in asked["BevaraAuditUnreadable"]
    assert "max_over_time(bevara_audit_progress_timestamp_seconds[" in asked["BevaraAuditorGone"]
    assert " and " not in asked["BevaraAuditorGone"]


def test_brackets_of_every_query_close() -> None:
    for query in [*queries(), *(rule["expr"] for rule in rules())]:
        for first, last in ("()", "[]", "{}"):
            assert query.count(first) == query.count(last), query


def test_panels_have_ids_titles_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["title"] for panel in panels)


def test_the_operators_table_of_settings_is_the_programs_own() -> None:
    """Made by `bevara doctor --settings`."""
    told = (DOCKER / "README.md").read_text("utf-8")

    assert service_settings.table() in told

"""The families of one scrape, filled value by value."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

Label = str | int | None


class Sheet:
    """Collects samples into families. What is not known leaves no sample; a label that is not known is empty."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}

    def gauge(self, name: str, meaning: str, value: float | None, /, **labels: Label) -> None:
        """Add what a value is now."""
        self._add(GaugeMetricFamily, name, meaning, value, labels)

    def counter(self, name: str, meaning: str, value: float | None, /, **labels: Label) -> None:
        """Add how much something has been so far; the name ends in `_total`."""
        self._add(CounterMetricFamily, name, meaning, value, labels)

    def families(self) -> Iterator[Metric]:
        """What was added."""
        yield from self._families.values()

    def _add(
        self,
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        meaning: str,
        value: float | None,
        labels: dict[str, Label],
    ) -> None:
        if value is None:
            return
        if name not in self._families:
            self._families[name] = kind(name, meaning, labels=list(labels))
        self._families[name].add_metric(["" if label is None else str(label) for label in labels.values()], value)


def ratio(percent: float | None) -> float | None:
    """A share of one, as Prometheus has it."""
    return None if percent is None else percent / 100

"""Numbers in memory and as Prometheus text."""

from __future__ import annotations

import threading

import pytest

from kubexm.metric import Family, Kind, Registry

COUNTER = Family(kind=Kind.COUNTER, name="c_total", text="A count.", labels=("what",))
GAUGE = Family(kind=Kind.GAUGE, name="g", text="A level\nin two lines.")
HISTOGRAM = Family(kind=Kind.HISTOGRAM, name="h_seconds", text="Times.", bounds=(0.5, 1.0))


def test_families_are_written_sorted_with_help_and_type() -> None:
    registry = Registry()
    registry.set(GAUGE, to=1.5)
    registry.add(COUNTER, "b")
    registry.add(COUNTER, "a", by=2)
    assert registry.text() == (
        "# HELP c_total A count.\n# TYPE c_total counter\n"
        'c_total{what="a"} 2\nc_total{what="b"} 1\n'
        "# HELP g A level\\nin two lines.\n# TYPE g gauge\ng 1.5\n"
    )


def test_a_histogram_counts_a_value_in_every_bucket_that_it_fits() -> None:
    registry = Registry()
    for value in (0.25, 0.5, 0.75, 2.0):
        registry.observe(HISTOGRAM, value=value)
    assert registry.text().splitlines()[2:] == [
        'h_seconds_bucket{le="0.5"} 2',
        'h_seconds_bucket{le="1"} 3',
        'h_seconds_bucket{le="+Inf"} 4',
        "h_seconds_sum 3.5",
        "h_seconds_count 4",
    ]


def test_a_labels_value_is_escaped() -> None:
    registry = Registry()
    registry.add(COUNTER, 'a "b"\n\\c')
    assert 'c_total{what="a \\"b\\"\\n\\\\c"} 1' in registry.text()


def test_labels_that_are_missing_and_names_that_mean_two_things_are_refused() -> None:
    registry = Registry()
    with pytest.raises(ValueError, match="zip"):
        registry.add(COUNTER)
    registry.add(COUNTER, "a")
    with pytest.raises(ValueError, match="two metrics"):
        registry.add(Family(kind=Kind.GAUGE, name="c_total", text="Another."))


def test_threads_lose_no_count() -> None:
    registry = Registry()

    def work() -> None:
        for _ in range(2000):
            registry.add(COUNTER, "a")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 'c_total{what="a"} 16000\n' in registry.text()

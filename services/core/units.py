"""Units for people: bytes as GiB, durations, shares. Unknown values read "n/a", never zero."""

from __future__ import annotations

KIB, MIB, GIB = 1024, 1024**2, 1024**3
UNKNOWN = "n/a"


def bytes_text(count: int | float | None) -> str:
    """A number of bytes with the unit that keeps it short: 512 B, 3.4 KiB, 12.0 MiB, 7.9 GiB."""
    if count is None:
        return UNKNOWN
    for limit, unit in ((KIB, "B"), (MIB, "KiB"), (GIB, "MiB")):
        if abs(count) < limit:
            return f"{count:.0f} B" if unit == "B" else f"{count / (limit / 1024):.1f} {unit}"
    return f"{count / GIB:,.1f} GiB"


def milliseconds_text(value: float | None) -> str:
    """A duration: 85 ms, 4.2 s, 3 min 10 s."""
    if value is None:
        return UNKNOWN
    if value < 1000:
        return f"{value:.0f} ms"
    seconds = value / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def percent_text(share: float | None) -> str:
    """A difference in percent with its sign: +4.2 %, −0.3 %."""
    if share is None:
        return UNKNOWN
    return f"{share:+,.1f} %".replace("-", "−")

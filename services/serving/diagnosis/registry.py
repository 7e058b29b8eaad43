"""All causes, and which of them a word makes worth a closer look."""

from __future__ import annotations

from collections.abc import Mapping

from services.serving.diagnosis import endings, gguf, hardware, host, memory, models, parallel
from services.serving.diagnosis.causes import Cause, Sign

CAUSES: tuple[Cause, ...] = (
    *gguf.CAUSES,
    *memory.CAUSES,
    *hardware.CAUSES,
    *parallel.CAUSES,
    *models.CAUSES,
    *host.CAUSES,
    *endings.CAUSES,
)
"""Of two that are equally sure of a line, the one that stands here first is taken."""
BY_CODE: Mapping[str, Cause] = {cause.code: cause for cause in CAUSES}
SIGNS: Mapping[str, tuple[tuple[Cause, Sign], ...]] = {
    needle: tuple((cause, sign) for cause in CAUSES for sign in cause.signs if sign.needle == needle)
    for needle in {sign.needle for cause in CAUSES for sign in cause.signs}
}
"""What a needle may be a sign of."""
ORDER: Mapping[str, int] = {cause.code: place for place, cause in enumerate(CAUSES)}

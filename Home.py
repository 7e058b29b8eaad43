"""Home: what is running, what needs attention, first steps."""

from services.core.i18n import N_
from ui import frame, overview

with frame.page(N_("Home")) as services:
    overview.figures(services)
    overview.attention(services)
    overview.next_step(services)

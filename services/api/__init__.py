"""HTTP over the services: health and figures today, for whoever watches the process.

`create(services)` knows nothing of Streamlit: the web process mounts it beside the pages, or it runs alone. Always true
here: a route only calls services; who may ask is decided by the guards in front (`guards`), not by routes. Callers:
`web.py`, the command line.
"""

from services.api.routes import create

__all__ = ["create"]

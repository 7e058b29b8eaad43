"""HTTP over the services: OpenAI's API and Ollama's over servers and knowledge bases, REST for bases, health, figures.

`create(services)` knows nothing of Streamlit: the web process mounts it beside the pages, or it runs alone. Always true
here: a route only calls services; who may ask is decided in front of it (`guards`, `doors`, `access`); an error leaves
in the form that the client expects (`refusals`); what streams ends when its reader has gone. Callers: `web.py`, the
command line.
"""

from services.api.routes import create

__all__ = ["create"]

"""Lectern's services: everything it does, without a word of how it is shown.

Nothing below this package imports Streamlit. `services.app.bootstrap` joins the parts; pages, the command line and the
HTTP API call the same functions.
"""

__version__ = "0.1.0"

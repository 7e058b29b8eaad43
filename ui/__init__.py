"""The Streamlit code that pages share: frame, wiring to the services, language, widgets, citations.

Always true here: names and document text are shown as text, never as HTML or Markdown of their own; every sentence goes
through `i18n`; nothing is decided here that the command line would have to decide again. Callers: `Home.py`, `pages/`,
`web.py`.
"""

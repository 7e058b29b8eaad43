"""Who is reading: the browser's owner cookie, as an id that reveals nothing of the cookie."""

from __future__ import annotations

import hashlib

import streamlit as st

from services.api.guards import OWNER_COOKIE, is_owner

LOCAL = "local"


def owner_id() -> str:
    """The id under which this reader's conversations and preferences are stored; `LOCAL` where no cookie was given."""
    cookie = str(st.context.cookies.get(OWNER_COOKIE, ""))
    return hashlib.sha256(cookie.encode()).hexdigest()[:32] if is_owner(cookie) else LOCAL

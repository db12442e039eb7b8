"""Which role a change takes."""

from ..http.gate import Role

WRITE_ROLE: Role = "write"
"""To draw and to correct."""

FORGET_PART_ROLE: Role = "write"
"""To forget what a user did with an item, or one interaction."""

FORGET_USER_ROLE: Role = "admin"
"""To forget a user."""

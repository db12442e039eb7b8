"""Write Chroma's database anew without what was deleted, as a program of its own: `python chroma_vacuum.py FILE`.

Chroma brings an SQLite of its own. Two of them in one process do not see each other's locks, and whichever closes the
file first drops those of both, so that a write which goes on meanwhile leaves the database malformed:
https://www.sqlite.org/howtocorrupt.html, section 2.2.1. Between processes locks hold.
"""

import json
import sqlite3
import sys
from contextlib import closing

SECONDS = 60.0
"""How long it waits for whoever writes."""


def vacuum(file: str) -> list[str]:
    """Rewrite the database; return the ids of the indexes that it knows."""
    with closing(sqlite3.connect(file, timeout=SECONDS, isolation_level=None)) as database:
        used = [row[0] for row in database.execute("SELECT id FROM segments")]
        database.execute(
            "INSERT INTO embedding_fulltext_search(embedding_fulltext_search) VALUES ('optimize')"
        )
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return used


def main() -> None:
    """Rewrite the file named by the first argument; print what `vacuum` returns as JSON, or the reason on failure."""
    try:
        print(json.dumps(vacuum(sys.argv[1])))
    except sqlite3.Error as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

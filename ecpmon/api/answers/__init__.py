"""What the routes answer, as types: mypy holds handlers to them, and `/openapi.json` and the tests are made of them.

One module per area. Percentages are 0 to 100 and unrounded, times RFC 3339 in UTC, unless a field says otherwise.
"""

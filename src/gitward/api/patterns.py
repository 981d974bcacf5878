"""The forms of texts as regular expressions (ECMA-262), for the description of the API.

The validators in `shapes` decide, and have the sentences; a client that checks these first saves a request. Where a
rule is not regular (invisible characters, bytes, tokens), they accept what the validators refuse, never the reverse.
"""

from __future__ import annotations

_OWNER = r"[A-Za-z0-9-]{1,39}(?:_[A-Za-z0-9]{1,20})?"
REPOSITORY = rf"^{_OWNER}/(?!\.{{1,2}}$|.*\.(?:[gG][iI][tT]|[wW][iI][kK][iI])$)[A-Za-z0-9._-]{{1,100}}$"
BRANCH = (
    r"^(?!(?:@|HEAD|[0-9a-fA-F]{40})$|[-/.]|refs/|.*(?:\.\.|@\{|//|/\.|\.lock/)|.*(?:/|\.|\.lock)$)"
    r"[^\x00-\x20\x7f~^:?*\[\\]+$"
)
LINE = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"  # printable, and not blank
REVIEWER = r"^[A-Za-z0-9-][A-Za-z0-9_-]{0,99}(?:/[A-Za-z0-9_-]{1,100})?$"
ENVIRONMENT = r"^[a-z0-9][a-z0-9._-]{0,31}$"
ENV_NAME = r"^(?![gG][iI][tT]_|[gG][hH]_|[gG][iI][tT][hH][uU][bB]_|[lL][dD]_)[A-Za-z_][A-Za-z0-9_]{0,127}$"
DIGITS = r"^[0-9]{0,20}$"
SESSION_ID = r"^ses_[0-9a-hjkmnp-tv-z]{16}$"
SCHEDULE_ID = r"^sch_[0-9a-hjkmnp-tv-z]{16}$"
CRON = r"^[0-9A-Za-z*,/#-]+(?: [0-9A-Za-z*,/#-]+){4}$"
TIME_ZONE = r"^[A-Za-z0-9_+/-]+$"
RUN_ID = r"^run_[0-9a-hjkmnp-tv-z]{16}$"

"""The canary proof: while a hostile command runs inside, the audit searches every visible place for the token.

`needles` has the values to search for, `ledger` the findings, `channels` the places. `processes`, `folders`, `objects`
and `database` search; `plants` and the hostile command, `inside.sh`, plant values to be found. `stage` is the audited
service: the demo's or, by `live`, one that already runs. `proof` runs the audit, and `report` prints the table.
"""

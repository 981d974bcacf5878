"""The canary proof: while a hostile command runs inside, the token is looked for in every place that can be seen.

`needles` says what is looked for, `ledger` keeps what was found, `channels` names the places. `processes`, `folders`,
`objects` and `database` look; `plants` and the hostile command, `inside.sh`, put something there to be found. `stage`
is the service that is audited, the demo's or, by `live`, one that runs already. `proof` does it all in its order, and
`report` prints the table.
"""

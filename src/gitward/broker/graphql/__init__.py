"""The policy for GitHub's GraphQL API.

`views` says in which words the policy is written, `readable` and `mutations` are the policy; `document` reads a
request by them, `node_ids` asks GitHub to which repository an id belongs, `door` puts them together.
"""

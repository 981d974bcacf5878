"""The `proc-receive` hook of a stand-in's repositories: refuses refs as GitHub does, hands the others back.

It runs in a process of its own for each push, so it loads quickly: a few modules of the standard library, named tuples
for values (dataclasses load half of the library), and relative imports, because git starts it outside of the package.
"""

"""The `proc-receive` hook of a stand-in's repositories: refuses refs as GitHub does, hands the others back.

It runs in git's environment and process, once for each push, so it is quick to load: standard library only, and
imports within this folder are relative, because git starts it outside of the package.
"""

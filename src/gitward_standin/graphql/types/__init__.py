"""The tables of the types that queries answer with, by domain."""

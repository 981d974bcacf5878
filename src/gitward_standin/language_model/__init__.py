"""A stand-in for model providers on loopback: Anthropic Messages, OpenAI Responses, Chat Completions and
Gemini.

It follows a script, whatever it is told: it uses a tool, edits a file and answers; and it fails in the ways in which
providers fail. It counts what it was asked. It needs no key but the one it is given, and costs nothing.
"""

from gitward_standin.language_model.faults import Fault
from gitward_standin.language_model.questions import Question
from gitward_standin.language_model.scripts import Delegate, Say, Shell, Step, Write, edit_and_answer, endless
from gitward_standin.language_model.server import Asked, StandInModel

__all__ = [
    "Asked",
    "Delegate",
    "Fault",
    "Question",
    "Say",
    "Shell",
    "StandInModel",
    "Step",
    "Write",
    "edit_and_answer",
    "endless",
]

"""What a page's route asks for: the person who looks, and a form that they sent from a page of ours."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from gitward.errors import Forbidden
from gitward.web.signing_in.forms import Form, check_origin, check_token, read_form
from gitward.web.signing_in.person import Person
from gitward.web.signing_in.signing_in import SigningIn


def signing_in_of(request: Request) -> SigningIn:
    found = request.app.state.signing_in
    assert isinstance(found, SigningIn)
    return found


async def _signed_in(request: Request) -> Person:
    return await signing_in_of(request).person(request)


SignedIn = Annotated[Person, Depends(_signed_in)]


async def _operator(person: SignedIn) -> Person:
    if not person.operator:
        raise Forbidden("This page is for operators: callers that GITWARD_OPERATORS names.")
    return person


async def _checked_form(request: Request, person: SignedIn) -> Form:
    check_origin(request, signing_in_of(request).hosts)
    form = await read_form(request)
    check_token(request, form, person.csrf_token)
    return form


SignedInOperator = Annotated[Person, Depends(_operator)]
CheckedForm = Annotated[Form, Depends(_checked_form)]

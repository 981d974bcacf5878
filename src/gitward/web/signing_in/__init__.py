"""Sign-in for the pages: who looks, the forms that may change something, and the routes /sign-in and /sign-out.

app = FastAPI(…)
signing_in.install(app, SigningIn(…))

@app.get("/…")
async def page(person: SignedIn) -> Response: …      # without a valid cookie: 303 to /sign-in

@app.post("/…")
async def change(person: SignedIn, form: CheckedForm) -> Response: …   # `csrf_token` and Origin are right
"""

from gitward.web.signing_in.dependencies import CheckedForm, SignedIn, SignedInOperator
from gitward.web.signing_in.installation import install
from gitward.web.signing_in.person import Person
from gitward.web.signing_in.signing_in import SigningIn

__all__ = ["CheckedForm", "Person", "SignedIn", "SignedInOperator", "SigningIn", "install"]

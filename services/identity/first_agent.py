"""The operator's command that lets the first administrator in: makes an activation code and prints it once.

`python -m services.identity.first_agent --matricule 1893120105732 --role administrator`

Standard output holds the code and nothing else. Running it again replaces the code; everybody after the first
administrator is invited through the gateway.
"""

import argparse
import sys

from services.audit.contract import traced
from services.bus import emit
from services.db import Sessions, new_id, now
from services.identity import rules, store_letters
from services.identity.contract import ROLES
from services.identity.ports.codes import IdentityKey, new_letter_code
from services.identity.ports.hashing import Hashing
from services.refusals import InvalidInput
from services.settings import load


def issue_code(sessions: Sessions, identity_key: IdentityKey, matricule: str, role: str) -> str:
    """The activation code of an agent who is known from now on; as good as one on a letter.

    Refuses: InvalidInput for a wrong matricule or role.
    """
    name = identity_key.log_in_name(rules.require_matricule(matricule))
    code = new_letter_code("agent")
    code_hash = Hashing().hash(code)
    at = now()
    with sessions.transaction() as session:
        agent_id = store_letters.put_agent(session, name, rules.require_role(role), at)
        store_letters.put_letter(session, new_id(), "agent", agent_id, code_hash, at)
        emit(session, traced(None, "code.issued", at=at, object_id=agent_id, object_type="agent"))
    return rules.printed_letter_code(code)


def main() -> None:
    """Reads the command line and prints the code."""
    parser = argparse.ArgumentParser(prog="first_agent", description="Makes an activation code for an agent.")
    parser.add_argument("--matricule", required=True, help="the 13 digits")
    parser.add_argument("--role", choices=ROLES, default="administrator")
    given = parser.parse_args()
    settings = load()
    try:
        code = issue_code(
            Sessions(settings.database_url), IdentityKey.of_setting(settings.identity_key), given.matricule, given.role
        )
    except InvalidInput as refusal:
        sys.exit(f"refused: {refusal.detail['errors'][0]['message']}")
    print(code)


if __name__ == "__main__":
    main()

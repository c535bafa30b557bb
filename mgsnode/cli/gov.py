"""For a gateway's operator: proposals and votes, and the consents of vote keys they may need.

A proposal that names a new vote key carries that key's signature over the name and a recent
height with its state root. These commands make it, and print it as the fields of `gov_propose`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgsnode.cli.common import HomeDir, JsonFlag, PassphraseFd, show
from mgsnode.cli.sending import sends

if TYPE_CHECKING:
    from mgsnode.keystore import KeyFile

NodeUrl = Annotated[
    str, typer.Option("--rpc", help="A node that has caught up (default: that of the home).")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    gov = typer.Typer(
        help="For gateways: propose, vote, consent, rotate-key.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    gov.command()(propose)
    gov.command()(vote)
    gov.command()(consent)
    gov.command("rotate-key")(rotate_key)
    app.add_typer(gov, name="gov")


@sends("gov_propose")
def propose(
    action: Annotated[str, typer.Argument(help="What is asked for; `tx_kinds` lists the actions.")],
    args: Annotated[str, typer.Argument(help="Its arguments, as a JSON object.")],
    height: Annotated[int, typer.Option(help="At which height it takes effect if it is passed.")],
) -> dict[str, Any]:
    """Ask the other gateways for a change; it counts as your yes."""
    from json import JSONDecodeError, loads

    try:
        value = loads(args)
    except JSONDecodeError as error:
        raise typer.BadParameter(f"the arguments are not JSON: {error.msg}") from None
    return {"action": action, "args": value, "effective_height": height}


@sends("gov_vote")
def vote(
    proposal: Annotated[str, typer.Argument(help="The proposal: the txid that made it.")],
    yes: Annotated[bool, typer.Option("--yes/--no", help="What you say to it.")],
) -> dict[str, Any]:
    """Vote on a proposal, or change your vote."""
    return {"proposal": proposal, "yes": yes}


def consent(
    home: HomeDir, passphrase_fd: PassphraseFd = None, rpc: NodeUrl = "", json: JsonFlag = False
) -> None:
    """The node's part of a proposal to join. Its name, keys and the vote key's consent."""
    from mgsnode.base.errors import ConfigError
    from mgsnode.home import load_node_keys
    from mgsnode.keystore import forbid_core_dumps

    forbid_core_dumps()
    keys = load_node_keys(home, _passphrase(home, passphrase_fd))
    if keys.vote is None:
        raise ConfigError(f"{home} holds no vote key")
    name = keys.transport.name
    show(
        {
            "name": name,
            "vote_key": keys.vote.public_key.hex(),
            "possession": _possession(home, rpc, name, keys.vote),
            "transport_certificate": keys.transport.certificate.hex(),
        },
        as_json=json,
    )


def rotate_key(
    home: HomeDir, passphrase_fd: PassphraseFd = None, rpc: NodeUrl = "", json: JsonFlag = False
) -> None:
    """Make the next vote key with its journal. Or show the one that waits; what to propose.

    It is sealed like the node's other keys. Restart the node once, so that it knows the key; it
    changes over by itself when the chain names it.
    """
    from mgsnode.home import create_next_vote, load_node_keys
    from mgsnode.keystore import KeyFile, forbid_core_dumps, new_seed

    forbid_core_dumps()
    passphrase = _passphrase(home, passphrase_fd)
    keys = load_node_keys(home, passphrase)
    vote = keys.next_vote or KeyFile(keys.transport.name, "vote", new_seed())
    answer = {
        "gateway": keys.transport.name,
        "vote_key": vote.public_key.hex(),
        "possession": _possession(home, rpc, keys.transport.name, vote),
    }
    if keys.next_vote is None:
        create_next_vote(home, vote, passphrase)
    show(answer, as_json=json)


def _passphrase(home: Path, descriptor: int | None) -> bytes | None:
    from mgsnode.cli.node import passphrase_of

    return passphrase_of(home, descriptor)


def _possession(home: Path, rpc: str, name: str, vote: KeyFile) -> dict[str, Any]:
    """The vote key's signature over the node's head."""
    from mgsnode.base.keys import Signed, statement
    from mgsnode.client import call_once
    from mgsnode.config import load_settings
    from mgsnode.home import load_home_genesis
    from state.tx.membership import possession_fields

    genesis = load_home_genesis(home)
    settings = load_settings(home)
    head = call_once(rpc or f"http://{settings.rpc.host}:{settings.rpc.port}", "chain_head")
    root = bytes.fromhex(head["state_root"])
    fields = possession_fields(name, vote.public_key, head["height"], root)
    signature = vote.key.sign(statement(Signed.POSSESSION, genesis.hash, fields))
    return {
        "height": head["height"],
        "state_root": head["state_root"],
        "signature": signature.hex(),
    }

"""The command line: `invoice-gateway COMMAND`. What only one command needs is loaded by that command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway import __version__
from gateway.shell.requests import STATES

EPILOG = """\
examples:
  invoice-gateway demo                                      five simulated upstreams, a gateway, one invoice to each
  invoice-gateway check gateway.toml                        is this configuration good?
  invoice-gateway explain --config gateway.toml inv.json    what would be sent where, and what would be lost
  invoice-gateway diff old.toml new.toml --sample inv.ndjson    what would a changed configuration change?
  invoice-gateway serve --config gateway.toml               listen
  invoice-gateway send june.ndjson --url http://localhost:8080      all invoices of a file, each once
  invoice-gateway journal list --config gateway.toml --outcome unknown      what is in doubt

exit codes: 0 good, 1 the answer is no (faults, an invoice that cannot be sent), 2 wrong usage
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    root = argparse.ArgumentParser(
        prog="invoice-gateway",
        description="One canonical invoice in, many invoicing APIs out: routed, translated, delivered once.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"invoice-gateway {__version__}")
    made = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = made.add_parser("serve", help="listen for invoices and deliver them")
    serve.add_argument("--config", required=True, type=Path, metavar="FILE", help="the configuration, a TOML file")

    check = made.add_parser(
        "check", help="find what is wrong with a configuration, and what its rules will do; run its tests"
    )
    check.add_argument("config", type=Path, metavar="FILE", help="the configuration, a TOML file")
    check.add_argument("--strict", action="store_true", help="warnings are faults")
    check.add_argument("--json", action="store_true", help="for programs: every finding with the invoice that shows it")

    _add_explain(made.add_parser("explain", help="what would be done with an invoice; sends nothing, needs no secrets"))
    _add_diff(made.add_parser("diff", help="which invoices another configuration would send elsewhere or otherwise"))
    _add_send(made.add_parser("send", help="send the invoices of a file, each once; goes on where it was interrupted"))
    _add_new_dialect(made.add_parser("new-dialect", help="write the skeleton of another API into this checkout"))
    _add_journal(made.add_parser("journal", help="what became of invoices; settle those in doubt"))

    sandbox = made.add_parser("sandbox", help="simulate all upstream APIs on this machine")
    sandbox.add_argument("--port", type=_port, default=9100, help="port on loopback, 0 for any (default: 9100)")

    demo = made.add_parser("demo", help="sandbox, gateway, and one invoice to each upstream; then stays up")
    demo.add_argument("--port", type=_port, default=8080, help="the API's port, 0 for any (default: 8080)")
    demo.add_argument("--ops-port", type=_port, default=8081, help="the operations port, 0 for any (default: 8081)")
    demo.add_argument("--sandbox-port", type=_port, default=9100, help="the sandbox's port, 0 for any (default: 9100)")
    demo.add_argument("--once", action="store_true", help="stop after the invoices; exit 1 unless all were created")
    return root


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument("--config", required=True, type=Path, metavar="FILE", help="the configuration, a TOML file")
    explain.add_argument("invoice", metavar="INVOICE", help="a JSON file, or - for standard input")
    explain.add_argument(
        "--all-upstreams", action="store_true", help="every upstream, not only the one it is routed to"
    )
    explain.add_argument("--client", default="local", metavar="NAME", help="route as if this client called")
    explain.add_argument("--json", action="store_true", help="as the API answers it")


def _add_diff(diff: argparse.ArgumentParser) -> None:
    diff.description = "Plans each invoice of a sample by two configurations; sends nothing, needs no secrets."
    diff.epilog = "exit codes: 0 nothing is different, 1 something is, 2 not all was compared"
    diff.add_argument("old", type=Path, metavar="OLD", help="a configuration, a TOML file")
    diff.add_argument("new", type=Path, metavar="NEW", help="another one")
    diff.add_argument("--sample", required=True, metavar="FILE", help="invoices, one a line, or - for standard input")
    diff.add_argument("--client", default="local", metavar="NAME", help="route as if this client called")
    diff.add_argument("--json", action="store_true", help="a line of JSON for each difference, and one for the totals")


SEND = """\
Sends the invoices of a file to a gateway. Each needs an `external_id`, by which it is created once, however often it is
sent. What became of each is written to the results file as it is known; run the same command again and it goes on:
what is created, or refused for its content, is not sent again; what is not sent or unknown is.

NDJSON: a JSON object a line. CSV, by the name of the file: a header with the paths of fields, a row an invoice. Columns
such as lines.0.quantity and lines.1.quantity are its lines; with lines.*.quantity each row is a line, and rows that
follow each other with the same external_id are one invoice. An empty cell is absent; below extensions cells are JSON.

exit codes: 0 every invoice is created, 1 some are not, 2 wrong usage or an unusable file, 130 interrupted
"""


def _add_send(send: argparse.ArgumentParser) -> None:
    send.formatter_class = argparse.RawDescriptionHelpFormatter
    send.description = SEND
    send.add_argument("file", type=_text, metavar="FILE", help="NDJSON, or CSV; - for NDJSON on standard input")
    send.add_argument("--url", required=True, type=_text, help="where the gateway's API is")
    send.add_argument("--token-env", type=_text, metavar="NAME", help="the environment variable that holds a token")
    send.add_argument("--results", type=Path, metavar="FILE", help="the results file (default: FILE.results.ndjson)")
    send.add_argument(
        "--concurrency", type=_count, default=8, metavar="N", help="how many at once, 1 to 256 (default: 8)"
    )
    send.add_argument(
        "--patience",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long to try again what may do better later, a gateway that is gone included (default: 60)",
    )


def _add_new_dialect(fresh: argparse.ArgumentParser) -> None:
    fresh.description = (
        "Writes a mapping, a simulation and fixtures into the checkout it is run in; their tests say what to do."
    )
    fresh.add_argument("name", type=_text, metavar="NAME", help="its name: 2 to 20 small letters and digits")


def _add_journal(journal: argparse.ArgumentParser) -> None:
    journal.description = "Reads the journal directly, or through the API of the gateway that holds it."
    actions = journal.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="invoices, newest first")
    listed.add_argument("--outcome", choices=list(STATES), help="only these; `unknown` are those in doubt")
    listed.add_argument("--external-id", type=_text, metavar="ID", help="only the invoice with this external_id")
    listed.add_argument("--limit", type=_text, default="50", metavar="N", help="how many, at most 200 (default: 50)")
    listed.add_argument("--cursor", type=_text, metavar="ID", help="go on after this one")
    shown = actions.add_parser("show", help="one invoice, with the upstream's own answer")
    resolved = actions.add_parser(
        "resolve", help="say what became of an invoice in doubt, after looking at the upstream"
    )
    for action in (shown, resolved):
        action.add_argument("id", type=_text, metavar="ID", help="the gateway's id of the invoice")
    resolved.add_argument("--outcome", required=True, choices=["created", "not_sent"], help="what you found there")
    resolved.add_argument(
        "--upstream-id", type=_text, metavar="ID", help="what the upstream calls it, if it was created"
    )
    resolved.add_argument(
        "--reason", type=_text, required=True, metavar="TEXT", help="how you know; it is kept with your name"
    )
    for action in (listed, shown, resolved):
        action.add_argument("--config", required=True, type=Path, metavar="FILE", help="the configuration, a TOML file")
        action.add_argument("--url", type=_text, help="ask the API there, whoever holds the journal")
        action.add_argument(
            "--token-env", type=_text, metavar="NAME", help="the environment variable with an operator's token"
        )
        action.add_argument("--json", action="store_true", help="as the API answers it, one line each")


def _port(argument: str) -> int:
    """An argument that is a port.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (argument.isascii() and argument.isdigit() and len(argument) <= 5 and int(argument) <= 65535):
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(argument)


def _count(argument: str) -> int:
    """An argument that is a number from 1 to 256.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (argument.isascii() and argument.isdigit() and len(argument) <= 3 and 1 <= int(argument) <= 256):
        raise argparse.ArgumentTypeError("must be a number from 1 to 256")
    return int(argument)


def _seconds(argument: str) -> float:
    """An argument that is a number of whole seconds, up to a day.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (argument.isascii() and argument.isdigit() and len(argument) <= 5 and int(argument) <= 86400):
        raise argparse.ArgumentTypeError("must be a number of seconds from 0 to 86400")
    return float(argument)


def _text(argument: str) -> str:
    """An argument that is text.

    Raises:
        ArgumentTypeError: it is not UTF-8.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not UTF-8") from None
    return argument


def _journal(options: argparse.Namespace) -> int:
    from gateway.shell import journal_commands

    way = journal_commands.Way(options.config, options.url, options.token_env)
    match options.action:
        case "list":
            asked = {name: getattr(options, name) for name in ("outcome", "external_id", "limit", "cursor")}
            wanted = {name: value for name, value in asked.items() if value is not None}
            return journal_commands.show_list(way, wanted, as_json=options.json)
        case "show":
            return journal_commands.show_one(way, options.id, as_json=options.json)
        case _:
            said = {"outcome": options.outcome, "upstream_id": options.upstream_id, "reason": options.reason}
            return journal_commands.resolve(way, options.id, said, as_json=options.json)


def _send(options: argparse.Namespace) -> int:
    from gateway.shell import sending

    names = ("file", "url", "token_env", "results", "concurrency", "patience")
    return sending.send(sending.Order(**{name: getattr(options, name) for name in names}))


def _serve(options: argparse.Namespace) -> int:
    from gateway.shell import commands

    return commands.serve(options.config)


def _check(options: argparse.Namespace) -> int:
    from gateway.shell import trial_commands

    return trial_commands.check(options.config, strict=options.strict, as_json=options.json)


def _explain(options: argparse.Namespace) -> int:
    from gateway.shell import explain_command

    everywhere, as_json = options.all_upstreams, options.json
    return explain_command.explain(
        options.config, options.invoice, options.client, everywhere=everywhere, as_json=as_json
    )


def _diff(options: argparse.Namespace) -> int:
    from gateway.shell import diff_command

    asked = (options.old, options.new, options.sample, options.client, options.json)
    return diff_command.diff(diff_command.Options(*asked))


def _new_dialect(options: argparse.Namespace) -> int:
    from gateway.shell import kit

    return kit.new_dialect(options.name, Path())


def _sandbox(options: argparse.Namespace) -> int:
    from gateway.shell import trial_commands

    return trial_commands.sandbox(options.port)


def _demo(options: argparse.Namespace) -> int:
    from gateway.shell import trial_commands

    ports = trial_commands.Ports(options.port, options.ops_port, options.sandbox_port)
    return trial_commands.demo(ports, once=options.once)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": _serve,
    "check": _check,
    "explain": _explain,
    "diff": _diff,
    "send": _send,
    "new-dialect": _new_dialect,
    "journal": _journal,
    "sandbox": _sandbox,
    "demo": _demo,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())

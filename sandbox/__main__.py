"""`python -m sandbox`: read the settings, listen, say where, and serve until told to stop.

When ready it prints one JSON line, `{"sandbox": "http://127.0.0.1:8001"}`. SIGTERM and SIGINT stop it with exit code
0; a bad setting or a taken port ends it with exit code 2 and the reason.
"""

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import sys

import uvloop
from aiohttp import web

from sandbox import (
    control,
    infobip,
    karaden,
    komoju,
    order_pages,
    own_desk,
    pages,
    payjp,
    paypay,
    stripe,
    twilio,
    zettai_reach,
)
from sandbox.fast_path import Doors, Lane, Sends
from sandbox.karaden import Karaden
from sandbox.middleware import Gate
from sandbox.settings import SettingError, Settings, read
from sandbox.state import build

_BACKLOG = 4096
_LARGEST_BODY = 16 * 1024 * 1024


def main() -> int:
    """Run the sandbox; the result is the exit code."""
    try:
        settings = read(os.environ)
        listener = _listen(settings)
    except SettingError as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    # A million messages are kept for good: looking through them again and again for garbage would stop the server.
    gc.set_threshold(200_000, 50, 1000)
    uvloop.run(_serve(settings, listener))
    return 0


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = (
                f"port {settings.port} is taken on {settings.host}: stop what uses it or set SANDBOX_PORT to another"
            )
        else:
            message = f"SANDBOX_HOST, SANDBOX_PORT: can't listen on {settings.host}:{settings.port} ({error.strerror})"
        raise SettingError(message) from None
    return listener


async def _serve(settings: Settings, listener: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    world = build(settings, settings.public_url or address)
    carrier = Karaden(world.messages, world.switches, settings.karaden_tokens, world.karaden)
    carrier_gate = Gate("karaden", world.agenda, world.ledger, world.switches, karaden.failure)
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.add_routes(carrier.routes(carrier_gate))
    reach = zettai_reach.ZettaiReach(world.messages, world.switches, world.reach)
    cpaas = infobip.Infobip(world.messages, world.switches, world.cpaas)
    messaging = twilio.Twilio(world.messages, world.switches, world.messaging)
    sends = [Sends(carrier_gate, karaden.SENDS, carrier.create)]
    sms_doors = (
        (zettai_reach.NAME, reach, zettai_reach.failure, zettai_reach.SENDS, zettai_reach.SECRETS),
        (infobip.NAME, cpaas, infobip.failure, infobip.SENDS, frozenset[str]()),
        (twilio.NAME, messaging, twilio.failure, twilio.SENDS, frozenset[str]()),
    )
    for kind, sms_door, failure, path, secrets in sms_doors:
        gate = Gate(kind, world.agenda, world.ledger, world.switches, failure, secrets=secrets)
        app.add_routes(sms_door.routes(gate))
        sends.append(Sends(gate, path, sms_door.create))
    payment_doors = (
        ("stripe", stripe.Stripe(world.checkouts, world.idempotency), stripe.failure),
        ("payjp", payjp.Payjp(world.orders, world.idempotency), payjp.failure),
        ("komoju", komoju.Komoju(world.orders, world.idempotency), komoju.failure),
        ("paypay", paypay.PayPay(world.orders), paypay.failure),
    )
    for kind, door, failure in payment_doors:
        app.add_routes(door.routes(Gate(kind, world.agenda, world.ledger, world.switches, failure, quotes=True)))
    world.load()
    app.add_routes(control.routes(world))
    app.add_routes(own_desk.routes(world))
    app.add_routes(world.receivers.routes())
    app.add_routes(pages.routes(world))
    app.add_routes(order_pages.routes(world))
    # a handler ends when its client goes away, so that a hanging one doesn't stay; no access log: the ledger is it
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    on_lane: set[asyncio.Transport] = set()
    loop, doors = asyncio.get_running_loop(), Doors(sends)
    server = await loop.create_server(
        lambda: Lane(doors, _aiohttp_of(runner), on_lane), sock=listener, backlog=_BACKLOG
    )
    sys.stdout.write(json.dumps({"sandbox": address}) + "\n")
    sys.stdout.flush()
    await _told_to_stop(settings.parent)
    server.close()
    for transport in list(on_lane):
        transport.close()
    await world.close()
    await runner.cleanup()


def _aiohttp_of(runner: web.AppRunner) -> web.Server:
    if runner.server is None:
        message = "the runner is set up before anything connects"
        raise RuntimeError(message)
    return runner.server


async def _told_to_stop(parent: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), None if parent is None else 1.0)
        except TimeoutError:
            if os.getppid() != parent:
                return


if __name__ == "__main__":
    sys.exit(main())

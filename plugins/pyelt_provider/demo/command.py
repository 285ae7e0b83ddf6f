"""`pyelt demo`: start everything, let the scheduler load the sample, show what came of it, stay until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from types import FrameType

import psutil

from pyelt_provider.demo.failure import DemoError
from pyelt_provider.demo.late_delivery import LateDelivery
from pyelt_provider.demo.places import PIPELINE, Places, find_places
from pyelt_provider.demo.progress import Outcome, Screen, follow, wait_for_dags
from pyelt_provider.demo.settings import USER
from pyelt_provider.demo.stack import DemoStack, port_number
from pyelt_provider.demo.summary import summary_lines
from pyelt_provider.embedded.server import EmbeddedServer
from pyelt_provider.errors import PyeltError

OK, FAILED, INTERRUPTED = 0, 1, 130
STOP_SECONDS = 60


class _Stopped(BaseException):
    """Somebody asked the demo to end: Ctrl-C, a closed terminal, or a plain kill."""


def run(argv: list[str]) -> int:
    """Run the demo and return its exit code: 0 fine, 1 something failed, 2 wrong usage, 130 stopped before it was done.

    With `--once` it ends when all is loaded, and 0 means: every run succeeded and the warehouse holds what the sample
    says it should.
    """
    screen = Screen()
    try:
        arguments = _parser().parse_args(argv)
        places = find_places()
        if arguments.clean:
            return _clean(places, screen)
        port = arguments.port if arguments.port is not None else port_number(os.environ.get("PYELT_DEMO_PORT"))
        return _demo(places, screen, port=port, once=arguments.once)
    except PyeltError as error:
        print(f"pyelt demo: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyelt demo",
        description="Start PostgreSQL and Airflow from this virtual environment, load the sample project's deliveries "
        "through the real scheduler, show what was loaded, and stay until Ctrl-C.",
        epilog="PYELT_HOME: the data folder (.pyelt). PYELT_DEMO_PORT, PYELT_DEMO_POSTGRES_PORT: ports to use instead "
        "of free ones.",
    )
    parser.add_argument("--once", action="store_true", help="end when all is loaded; exit code 0 only if it is right")
    parser.add_argument("--port", type=port_number, help="port of Airflow's web UI")
    parser.add_argument("--clean", action="store_true", help="stop a running demo and remove all that demos made")
    return parser


def _demo(places: Places, screen: Screen, *, port: int | None, once: bool) -> int:
    _listen_for_the_end()
    done = False
    try:
        with DemoStack(places, port=port, say=screen.say) as stack:
            right = load_sample(stack, screen)
            done = True
            if not once:
                _stay(stack, screen)
            return OK if right else FAILED
    except _Stopped:
        screen.say("Stopped: Airflow and PostgreSQL have ended; the data stays for the next time.")
        return OK if done else INTERRUPTED


def load_sample(stack: DemoStack, screen: Screen) -> bool:
    """Let the scheduler do every run of the sample, and show it; say whether all is as it should be."""
    api = stack.api
    dag_ids = wait_for_dags(api, PIPELINE, stack.check)
    for dag_id in dag_ids:
        api.unpause(dag_id)
    screen.say(f"The scheduler runs {', '.join(dag_ids)}:")
    began = time.monotonic()
    late = LateDelivery(stack.places.data_root, api, screen.say)

    def check() -> None:
        stack.check()
        late.look()

    outcome = follow(api, dag_ids, task_logs=stack.places.task_logs, screen=screen, check=check)
    screen.say(f"{len(outcome.runs)} runs, {len(outcome.failed)} of them failed, {time.monotonic() - began:.0f} s\n")
    for line in summary_lines(stack.warehouse_url):
        screen.say(line)
    return _judge(stack, outcome, screen)


def _judge(stack: DemoStack, outcome: Outcome, screen: Screen) -> bool:
    from pyelt_provider.sample.expected import problems

    found = problems(stack.warehouse_url)
    screen.say("")
    for problem in found:
        screen.say(f"not as expected: {problem}")
    if not found:
        screen.say("The warehouse holds what the sample says it should.")
    return not found and not outcome.failed


def _stay(stack: DemoStack, screen: Screen) -> None:
    screen.say(f"\nAirflow: {stack.settings.address}   user {USER}, password {stack.settings.password}")
    screen.say(f"Warehouse: {stack.warehouse_url}")
    screen.say(f"For `airflow` and `pyelt` in another terminal: source {stack.places.environment}")
    screen.say("Ctrl-C stops everything; `make demo` goes on from here another time.")
    while True:
        stack.check()
        time.sleep(1)


def _clean(places: Places, screen: Screen) -> int:
    if not places.home.exists():
        screen.say(f"There is nothing in {places.home}")
        return OK
    _stop_running(places)
    EmbeddedServer(places.home).remove()
    shutil.rmtree(places.home)
    screen.say(f"Removed {places.home}")
    return OK


def _stop_running(places: Places) -> None:
    owner = DemoStack(places).running_process()
    if owner is None:
        return
    process = psutil.Process(owner)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        raise DemoError(f"the demo that runs as process {owner} does not stop within {STOP_SECONDS} s") from None


def _listen_for_the_end() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)  # the end has begun; a second Ctrl-C must not leave half of it running
        raise _Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)

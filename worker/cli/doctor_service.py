"""The part of ``bevara doctor`` about the service: what its settings name, and whether each part answers. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console

from actions.errors import PreservationError
from worker.app import Service
from worker.cli.service import connected
from worker.ledger.service_facts import Place
from worker.service_settings import ServiceSettings, SettingsError


def show(console: Console) -> bool:
    """Ask every part, and print what it says; False: one is not fit."""
    try:
        settings = ServiceSettings.load()
    except SettingsError as wrong:
        for problem in wrong.problems:
            console.print(f"[red]wrong[/red]  {problem}", highlight=False)
        return False
    try:
        with connected(settings) as service:
            said = [_said(console, name, ask) for name, ask in _parts(service)]  # every one is shown
            return all(said)
    except PreservationError as away:
        console.print(f"[red]away[/red]   {away.subject}: {away.what}. {away.remedy}", highlight=False)
        return False


def _parts(service: Service) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "the ledger", lambda: None  # it was asked when we connected
    if service.settings.redis_url:
        yield "the queue (Redis)", lambda: _queue(service)
    yield "the scratch folder", lambda: service.scratch
    for tenant in service.ledger.tenants.list():
        for place in service.ledger.tenants.places(tenant.id):
            yield f"place {place.name} of {tenant.id}", lambda place=place: _place(service, place)  # type: ignore[misc]


def _queue(service: Service) -> None:
    if not service.broker_alive():
        raise PreservationError("does not answer, or refuses the password", "", "Look at BEVARA_REDIS_URL and at the server.")


def _place(service: Service, place: Place) -> None:
    next(iter(service.places.bucket(place).list("store/")), None)


def _said(console: Console, name: str, ask: Callable[[], object]) -> bool:
    try:
        ask()
    except PreservationError as no:
        console.print(f"[red]away[/red]   {name}: {no.what}. {no.remedy}", highlight=False)
        return False
    console.print(f"[green]well[/green]   {name}", highlight=False)
    return True

"""The service's settings: all checked at once, nothing secret told, nothing misspelt ignored."""

from __future__ import annotations

import copy
from ipaddress import ip_network
from pathlib import Path

import pytest
import sqlalchemy as sa
from redis.connection import parse_url

from worker.service_settings import ServiceSettings, SettingsError, configured, table, variable

SECRET = "hemlig-Åäö:/@%"
LEDGER = {"BEVARA_LEDGER_URL": "postgresql://bevara@db.example/ledger"}
S3 = {
    "BEVARA_S3_LUND_EAST_ENDPOINT": "https://s3.lund.example:9000",
    "BEVARA_S3_LUND_EAST_ACCESS_KEY": "bevara",
    "BEVARA_S3_LUND_EAST_SECRET_KEY": SECRET,
}


def wrong(environ: dict[str, str], **options) -> str:
    with pytest.raises(SettingsError) as raised:
        ServiceSettings.load(environ, **options)
    return str(raised.value)


def config(folder: Path, text: str) -> dict[str, str]:
    path = folder / "bevara.toml"
    path.write_text(text, "utf-8")
    return {"BEVARA_CONFIG": str(path)}


def test_one_setting_is_enough_to_start() -> None:
    settings = ServiceSettings.load(LEDGER)

    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 8600)
    assert (settings.admin_host, settings.admin_port) == ("127.0.0.1", 8601)
    assert settings.callback_private == ()
    assert sa.make_url(settings.ledger_url).drivername == "postgresql+psycopg"


def test_a_file_and_the_environment_say_the_same_things_and_the_environment_wins(tmp_path) -> None:
    text = """
ledger_url = "sqlite:////var/lib/bevara/ledger.sqlite3"
scratch_bytes = "5GB"
api_port = 9000
callback_http = true
callback_private = ["10.20.0.0/16", "fd00:1::/64"]
[s3.main]
endpoint = "http://localhost:9000"
access_key = "a"
secret_key = "b"
"""
    settings = ServiceSettings.load({**config(tmp_path, text), "BEVARA_API_PORT": "9001", "BEVARA_S3_MAIN_ACCESS_KEY": "c"})

    assert settings.ledger_url == "sqlite:////var/lib/bevara/ledger.sqlite3"
    assert settings.scratch_bytes == 5_000_000_000
    assert settings.api_port == 9001
    assert settings.callback_http
    assert settings.callback_private == (ip_network("10.20.0.0/16"), ip_network("fd00:1::/64"))
    assert settings.s3["main"].endpoint == "localhost:9000"
    assert not settings.s3["main"].secure
    assert (settings.s3["main"].access_key, settings.s3["main"].secret_key) == ("c", "b")


def test_passwords_from_files_reach_the_drivers_unharmed(tmp_path) -> None:
    """A password may hold any character; the newline that every editor adds is not part of it."""
    file, ca = tmp_path / "password", tmp_path / "ca.pem"
    file.write_text(f"{SECRET}\n", "utf-8")
    ca.write_text("certificate")
    environ = {
        **LEDGER,
        "BEVARA_LEDGER_PASSWORD_FILE": str(file),
        "BEVARA_LEDGER_CA_FILE": str(ca),
        "BEVARA_REDIS_URL": "rediss://bevara@redis.example:6380/2",
        "BEVARA_REDIS_PASSWORD_FILE": str(file),
        "BEVARA_REDIS_CA_FILE": str(ca),
    }

    settings = ServiceSettings.load(environ, needs=("ledger_url", "redis_url"))

    ledger = sa.make_url(settings.ledger_url)
    assert (ledger.username, ledger.password, ledger.host) == ("bevara", SECRET, "db.example")
    assert dict(ledger.query) == {"sslmode": "verify-full", "sslrootcert": str(ca)}
    redis = parse_url(settings.redis_url)
    assert (redis["username"], redis["password"], redis["host"], redis["db"]) == ("bevara", SECRET, "redis.example", 2)
    assert redis["ssl_ca_certs"] == str(ca)


def test_everything_that_is_wrong_is_told_at_once_with_its_name_and_what_to_do() -> None:
    told = wrong(
        {
            "BEVARA_REDIS_URL": "http://redis",
            "BEVARA_API_PORT": "70000",
            "BEVARA_SCRATCH": "scratch",
            "BEVARA_SCRATCH_BYTES": "lots",
            "BEVARA_LEASE_S": "nan",
            "BEVARA_LOG": "xml",
            "BEVARA_CALLBACK_PRIVATE": "10.20.0.1/16",
            "BEVARA_CALLBACK_HTTP": "maybe",
            "BEVARA_S3_MAIN_ENDPOINT": "https://key:secret@host/bucket",
            "BEVARA_OTLP_ENDPOINT": "collector:4318",
            "BEVARA_LEDGER_CA_FILE": "/nowhere/ca.pem",
        }
    )

    lines = told.splitlines()
    assert lines[0].startswith("[settings] the service's settings: 14 settings are wrong")
    assert all(line.startswith("  BEVARA_") for line in lines[1:])
    assert len(lines) == 15
    assert "BEVARA_LEDGER_URL: is not set" in told
    assert "BEVARA_API_PORT: must be a whole number from 0 to 65535 (it is '70000')" in told
    assert "BEVARA_S3_MAIN_ACCESS_KEY: is not set" in told
    assert "key:secret" not in told


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BEVARA_LEDGER_ULR", "BEVARA_LEDGER_URL"),
        ("BEVARA_REDIS_PASSWORD_FIEL", "BEVARA_REDIS_PASSWORD_FILE"),
        ("BEVARA_S3_ENDPOINT", ""),
    ],
)
def test_a_misspelt_setting_stops_the_start(name, meant) -> None:
    told = wrong({**LEDGER, name: SECRET})

    assert f"  {name}: is no setting of bevara. {f'Did you mean {meant}?' if meant else ''}" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('scratch_byte = "1GB"', "scratch_byte in {path}: is no setting of bevara. Did you mean scratch_bytes?"),
        ('[s3.main]\nsecretkey = "x"', "s3.main.secretkey in {path}: is no setting of an S3 endpoint. Did you mean secret_key?"),
        ("api_port = [8600]", "api_port in {path}: must be a text, a number"),
        ("ledger_url = ", "BEVARA_CONFIG: {path} is not TOML"),
        ('[s3]\n[s3."Å b"]\nendpoint = "x"', "s3.Å b in {path}: must be a table"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_the_files_name(tmp_path, text, told) -> None:
    environ = config(tmp_path, text)

    assert told.format(path=environ["BEVARA_CONFIG"]) in wrong({**LEDGER, **environ})


def test_a_setting_given_twice_is_a_mistake_and_not_a_choice(tmp_path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    environ = {**LEDGER, "BEVARA_LEDGER_PASSWORD": SECRET, "BEVARA_LEDGER_PASSWORD_FILE": str(tmp_path / "secret")}

    told = wrong(environ)

    assert "BEVARA_LEDGER_PASSWORD and BEVARA_LEDGER_PASSWORD_FILE: are both set" in told
    assert SECRET not in told


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff\xfe"])
def test_a_secret_file_without_a_secret_is_told(tmp_path, content) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    told = wrong({"BEVARA_LEDGER_URL_FILE": str(path)})

    assert "BEVARA_LEDGER_URL_FILE: names a" in told
    assert "is not set" not in told


def test_a_certificate_authority_without_tls_is_a_mistake(tmp_path) -> None:
    (tmp_path / "ca.pem").write_text("certificate")
    environ = {**LEDGER, "BEVARA_REDIS_URL": "redis://redis.example", "BEVARA_REDIS_CA_FILE": str(tmp_path / "ca.pem")}

    assert "BEVARA_REDIS_CA_FILE: is set, but the address does not ask for TLS" in wrong(environ)


@pytest.mark.parametrize(
    "url", [f"postgresql://bevara:{SECRET}@host/db", f"mysql://bevara:{SECRET}@host/db", f"{SECRET}", f"redis://:{SECRET}@h:x/0"]
)
@pytest.mark.parametrize("name", ["BEVARA_LEDGER_URL", "BEVARA_REDIS_URL", "BEVARA_OTLP_ENDPOINT"])
def test_no_secret_shows_in_a_message_or_a_repr(name, url) -> None:
    """Whatever a person writes into an address by mistake may be the password."""
    environ = {**LEDGER, **S3, "BEVARA_LEDGER_PASSWORD": SECRET, name: url}
    try:
        shown = repr(ServiceSettings.load(environ))
    except SettingsError as error:
        shown = f"{error} {error!r} {error.problems!r}"

    assert "hemlig" not in shown


def test_an_endpoint_is_named_in_lower_case_with_hyphens() -> None:
    settings = ServiceSettings.load({**LEDGER, **S3, "BEVARA_S3_LUND_EAST_REGION": "se-1"})

    (endpoint,) = settings.s3.values()
    assert (endpoint.name, endpoint.endpoint, endpoint.secure, endpoint.region) == (
        "lund-east",
        "s3.lund.example:9000",
        True,
        "se-1",
    )
    assert endpoint.secret_key == SECRET


def test_the_error_survives_a_process_boundary() -> None:
    with pytest.raises(SettingsError) as raised:
        ServiceSettings.load({})

    assert copy.copy(raised.value).problems == raised.value.problems


def test_the_table_tells_of_every_setting_and_its_default() -> None:
    told = table()

    assert "| `BEVARA_LEDGER_URL` * |" in told
    assert "| `BEVARA_API_PORT` | `8600` |" in told
    assert "| `BEVARA_SCRATCH_BYTES` | 20GiB |" in told
    assert told.count("\n") == len({variable(name) for name in ServiceSettings.__dataclass_fields__}) - 1 + 2 + 6


def test_the_embedded_use_is_not_taken_for_a_service() -> None:
    assert not configured({"BEVARA_TIME_FACTOR": "2"})
    assert configured({"BEVARA_LEDGER_URL_FILE": "/run/secrets/ledger"})

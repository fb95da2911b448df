"""The connection to the central database: how it is protected, how one logs in, its bounds, and what it survives."""

from __future__ import annotations

import datetime
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.errors import RecordsError, RecordsFailed, RecordsUnavailable, RowRefused, ShutOut
from smileaccess.records.mysql.link import Address, Link, Login
from tests import mysql_standin
from tests.doors import PATIENCE_S, eventually
from tests.mariadb import MariaDB, free_port, running
from tests.mysql_standin import CLEAR, ED25519, ED25519_PASSWORD, NATIVE, SHA2, Manners, StandIn
from tests.proxy import Proxy

ELSEWHERE = "db.example.org"
"""A host that is not this machine, but for the tests' own look-up of names."""

SHORT_S = 0.5
PASSWORD = "hunter2"


def here(port: int) -> Callable[..., Sequence[tuple[Any, ...]]]:
    """Return a look-up that finds every name on loopback."""
    return lambda _host, _port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def ending(call: Callable[[], object]) -> BaseException | None:
    """Run a call in a thread of its own and return what it raised; it must end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 -- handed on
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the call did not end"
    return raised[0] if raised else None


def raised(kind: type[RecordsError], call: Callable[[], object], told: str | None = None) -> RecordsError:
    """Run a call and return the error that it must raise, whose words match `told`."""
    with pytest.raises(kind, match=told) as caught:
        call()
    return caught.value


def together(link: Link, *steps: Callable[[], object]) -> Callable[[], None]:
    """Return a call that takes steps in one transaction."""

    def run() -> None:
        with link.transaction():
            for step in steps:
                step()

    return run


def insert(link: Link, number: int) -> Callable[[], object]:
    return lambda: link.change("INSERT INTO t VALUES (%s)", number)


@dataclass
class Certificates:
    """A private authority, and files of it."""

    authority: trustme.CA
    file: Path

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server of these names shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return an authority that the system does not know."""
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return Certificates(authority, file)


@contextmanager
def linked(server: StandIn, login: Login, *, host: str = "127.0.0.1", **more: Any) -> Iterator[Link]:
    """Give a link to a stand-in, as if it were on `host`."""
    address = Address.parse(server.address) if server.address.startswith("/") else Address(host, server.port)
    link = Link([address], login, **{"connect_s": PATIENCE_S, "resolve": here(server.port), **more})
    with closing(link):
        yield link


def login(certificates: Certificates | None = None, *, tls: str = "auto", password: str = PASSWORD) -> Login:
    return Login("side", password, "records", tls, str(certificates.file) if certificates else "")


# Addresses


@pytest.mark.parametrize(
    ("text", "parsed", "shown"),
    [
        ("db", Address("db", 3306), "db:3306"),
        ("db:3307", Address("db", 3307), "db:3307"),
        ("[::1]", Address("::1", 3306), "[::1]:3306"),
        ("[::1]:3307", Address("::1", 3307), "[::1]:3307"),
        ("/run/mysqld/mysqld.sock", Address("localhost", socket="/run/mysqld/mysqld.sock"), "/run/mysqld/mysqld.sock"),
    ],
)
def test_an_address_is_read_and_shown(text: str, parsed: Address, shown: str) -> None:
    assert Address.parse(text) == parsed
    assert str(parsed) == shown


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9:3307", "[::1]", "localhost", "LOCALHOST:3306", "/run/s.sock"])
def test_loopback_and_sockets_need_no_encryption_unless_it_is_asked_for(text: str) -> None:
    address = Address.parse(text)
    assert not login().encrypts(address)
    assert login(tls="on").encrypts(address)


@pytest.mark.parametrize("text", ["db", "10.0.0.1", "[fe80::1]:3306", "localhost.example.org", "[::ffff:10.0.0.1]"])
def test_everywhere_else_nothing_goes_unencrypted_unless_that_is_asked_for(text: str) -> None:
    address = Address.parse(text)
    assert login().encrypts(address)
    assert not login(tls="off").encrypts(address)


# TLS


def test_elsewhere_all_but_the_request_for_tls_is_encrypted(certificates: Certificates) -> None:
    manners = Manners(tls=certificates.server(ELSEWHERE))
    with StandIn(manners) as server, linked(server, login(certificates), host=ELSEWHERE) as link:
        link.change("SET @a = 1")
    open_packets = [payload for encrypted, payload in server.heard if not encrypted]
    assert [len(payload) for payload in open_packets] == [32]
    assert "SET @a = 1" in server.statements


@pytest.mark.parametrize("plugin", [SHA2, NATIVE, CLEAR])
def test_a_server_without_tls_is_refused_before_anything_is_said(plugin: str, certificates: Certificates) -> None:
    """Nobody on the way talks us down: not even the account's name goes out."""
    with StandIn(Manners(plugin=plugin)) as server, linked(server, login(certificates), host=ELSEWHERE) as link:
        caught = raised(RecordsUnavailable, lambda: link.one("SELECT 1"), "switch TLS on at the server")
    assert server.heard == []
    assert caught.code == 2026


def test_tls_that_is_asked_for_on_loopback_is_not_done_without(certificates: Certificates) -> None:
    with StandIn(Manners()) as server, linked(server, login(certificates, tls="on")) as link:
        raised(RecordsUnavailable, lambda: link.one("SELECT 1"), "TLS")
    assert server.heard == []


@pytest.mark.parametrize("name", ["other.example.org", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(name: str, certificates: Certificates) -> None:
    manners = Manners(tls=certificates.server(name))
    with StandIn(manners) as server, linked(server, login(certificates), host=ELSEWHERE) as link:
        caught = raised(RecordsUnavailable, lambda: link.one("SELECT 1"), "name the server as its certificate does")
    assert [len(payload) for _, payload in server.heard] == [32]
    assert caught.code == 2026


def test_a_certificate_of_an_unknown_authority_is_refused(certificates: Certificates) -> None:
    """Without `ca` the system's certificates count, which know nothing of this one."""
    manners = Manners(tls=certificates.server(ELSEWHERE))
    with StandIn(manners) as server, linked(server, login(), host=ELSEWHERE) as link:
        raised(RecordsUnavailable, lambda: link.one("SELECT 1"), "the system's certificates")
    assert [len(payload) for _, payload in server.heard] == [32]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_certificates_that_cannot_be_used_is_named(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    link = Link([Address(ELSEWHERE)], Login("side", PASSWORD, "records", "auto", str(file)))
    raised(RecordsUnavailable, lambda: link.one("SELECT 1"), f'ca = "{file}"')


def test_certificates_without_key_identifiers_will_do(tmp_path: Path) -> None:
    """The servers' manuals make such, and Python's newer default refuses them."""
    now = datetime.datetime.now(datetime.UTC)
    names = {"ca": x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")])}
    names["server"] = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ELSEWHERE)])
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in names}

    def certified(name: str, extension: x509.ExtensionType) -> bytes:
        made = x509.CertificateBuilder().subject_name(names[name]).issuer_name(names["ca"])
        made = made.public_key(keys[name].public_key()).serial_number(x509.random_serial_number())
        day = datetime.timedelta(days=1)
        made = made.not_valid_before(now - day).not_valid_after(now + day).add_extension(extension, critical=False)
        return made.sign(keys["ca"], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca, shown = tmp_path / "ca.pem", tmp_path / "server.pem"
    ca.write_bytes(certified("ca", x509.BasicConstraints(ca=True, path_length=None)))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    alternative = x509.SubjectAlternativeName([x509.DNSName(ELSEWHERE)])
    shown.write_bytes(keys["server"].private_bytes(*form) + certified("server", alternative))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    told = Login("side", PASSWORD, "records", "auto", str(ca))
    with StandIn(Manners(tls=context)) as server, linked(server, told, host=ELSEWHERE) as link:
        link.change("SET @a = 1")
    assert "SET @a = 1" in server.statements


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_server_of_an_older_tls_is_refused(certificates: Certificates) -> None:
    context = certificates.server(ELSEWHERE)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with StandIn(Manners(tls=context)) as server, linked(server, login(certificates), host=ELSEWHERE) as link:
        raised(RecordsUnavailable, lambda: link.one("SELECT 1"), "TLS|SSL")
    assert [len(payload) for _, payload in server.heard] == [32]


def test_on_loopback_nothing_is_encrypted_even_where_it_is_offered(certificates: Certificates) -> None:
    with StandIn(Manners(tls=certificates.server("127.0.0.1"))) as server, linked(server, login()) as link:
        link.change("SET @a = 1")
    assert {encrypted for encrypted, _ in server.heard} == {False}


def test_who_turns_tls_off_gets_none() -> None:
    with StandIn(Manners()) as server, linked(server, login(tls="off"), host=ELSEWHERE) as link:
        link.change("SET @a = 1")
    assert {encrypted for encrypted, _ in server.heard} == {False}


@pytest.fixture(scope="module")
def encrypted_mariadb(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Return a MariaDB that takes nothing but TLS off its socket."""
    folder = tmp_path_factory.mktemp("tls")
    shown = certificates.authority.issue_cert("127.0.0.1")
    shown.private_key_pem.write_to_path(str(folder / "key.pem"))
    for part in shown.cert_chain_pems:
        part.write_to_path(str(folder / "cert.pem"), append=True)
    options = (f"--ssl-key={folder / 'key.pem'}", f"--ssl-cert={folder / 'cert.pem'}", "--require-secure-transport=ON")
    with running(*options) as server:
        server.run("CREATE DATABASE records")
        server.run(f"CREATE USER side IDENTIFIED BY '{PASSWORD}'")
        server.run("GRANT ALL ON records.* TO side")
        yield server


def test_a_real_server_is_spoken_to_over_tls(encrypted_mariadb: MariaDB, certificates: Certificates) -> None:
    with closing(Link([Address.parse(encrypted_mariadb.address)], login(certificates, tls="on"))) as link:
        assert link.all("SHOW STATUS LIKE 'Ssl_version'")[0]["Value"] in {"TLSv1.2", "TLSv1.3"}
        assert link.one("SELECT 'ä'") == "ä"


def test_who_does_not_encrypt_is_told_that_the_server_wants_it(encrypted_mariadb: MariaDB) -> None:
    with closing(Link([Address.parse(encrypted_mariadb.address)], login())) as link:
        caught = raised(ShutOut, lambda: link.one("SELECT 1"), 'tls = "on"')
    assert caught.code == 1045


# Logging in


@pytest.mark.parametrize("greeting", [SHA2, NATIVE])
@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("way", ["tls", "loopback", "socket"])
def test_caching_sha2_password(
    way: str, cached: bool, greeting: str, certificates: Certificates, tmp_path: Path
) -> None:
    """On its fast path and its full one, over TLS, with the server's RSA key on loopback, and over a socket."""
    tls = certificates.server(ELSEWHERE) if way == "tls" else None
    manners = Manners(cached=cached, tls=tls, greeting=greeting)
    host = ELSEWHERE if way == "tls" else "127.0.0.1"
    path = tmp_path / "s" if way == "socket" else None
    with StandIn(manners, path) as server, linked(server, login(certificates), host=host) as link:
        link.change("SET @a = 1")
        assert "SET @a = 1" in server.statements
    assert server.told(PASSWORD.encode()) == (way == "socket" and not cached)
    assert ((False, b"\x02") in server.heard) == (way == "loopback" and not cached)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("way", ["tls", "loopback"])
def test_caching_sha2_password_with_a_wrong_password(way: str, cached: bool, certificates: Certificates) -> None:
    tls = certificates.server(ELSEWHERE) if way == "tls" else None
    host = ELSEWHERE if way == "tls" else "127.0.0.1"
    wrong = login(certificates, password="hunter3")
    with StandIn(Manners(cached=cached, tls=tls)) as server, linked(server, wrong, host=host) as link:
        caught = raised(ShutOut, lambda: link.one("SELECT 1"), r"check \[mysql\] user")
    assert caught.code == 1045
    assert server.statements == []


def test_after_one_full_login_the_next_is_fast() -> None:
    with StandIn(Manners()) as server, linked(server, login()) as link:
        link.change("SET @a = 1")
        link.close()
        link.change("SET @a = 2")
    assert [payload for _, payload in server.heard].count(b"\x02") == 1
    assert server.connections == 2


@pytest.mark.parametrize(("password", "welcome"), [(ED25519_PASSWORD, True), ("hunter3", False)])
def test_ed25519_of_mariadb(password: str, welcome: bool) -> None:
    """Against the public key that MariaDB's documentation prints for a password."""
    manners = Manners(plugin=ED25519, greeting=NATIVE)
    with StandIn(manners) as server, linked(server, login(password=password)) as link:
        error = ending(lambda: link.change("SET @a = 1"))
    assert ("SET @a = 1" in server.statements) == welcome
    assert isinstance(error, ShutOut) != welcome
    assert not server.told(password.encode())


@pytest.mark.parametrize("password", [PASSWORD, "pässwört€", ""])
def test_mysql_native_password_with_a_real_server(password: str, mariadb: MariaDB) -> None:
    """Also one that is not ASCII, and none."""
    database = mariadb.new_database()
    mariadb.run("CREATE OR REPLACE USER native IDENTIFIED BY %s", password)
    mariadb.run(f"GRANT ALL ON {database}.* TO native")
    for address in (mariadb.address, str(mariadb.socket)):
        with closing(Link([Address.parse(address)], Login("native", password, database))) as link:
            assert link.one("SELECT CURRENT_USER()") == "native@%"
            assert link.database == database
        with closing(Link([Address.parse(address)], Login("native", password + "x", database))) as link:
            raised(ShutOut, lambda: link.one("SELECT 1"), "error 1045")


@pytest.mark.parametrize("plugin", [CLEAR, "dialog", "mysql_old_password"])
@pytest.mark.parametrize("greeting", [NATIVE, ""])
def test_a_server_that_asks_for_the_password_as_it_is_gets_nothing(plugin: str, greeting: str) -> None:
    """Neither one that asks at once nor one that asks for something better first."""
    with StandIn(Manners(plugin=plugin, greeting=greeting)) as server, linked(server, login()) as link:
        raised(ShutOut, lambda: link.one("SELECT 1"), 'goes over TLS only: set .mysql. tls = "on"')
    assert not server.told(PASSWORD.encode())
    assert server.statements == []


def test_a_clear_password_may_go_over_tls(certificates: Certificates) -> None:
    manners = Manners(plugin=CLEAR, greeting=NATIVE, tls=certificates.server(ELSEWHERE))
    with StandIn(manners) as server, linked(server, login(certificates), host=ELSEWHERE) as link:
        link.change("SET @a = 1")
    assert (True, PASSWORD.encode() + b"\x00") in server.heard
    assert not server.told(PASSWORD.encode())


# Bounds


@pytest.mark.parametrize("tls", ["off", "on"])
def test_a_server_that_says_nothing_is_given_up(tls: str, certificates: Certificates) -> None:
    bounds = {"connect_s": SHORT_S, "timeout_s": PATIENCE_S * 2}
    with StandIn(Manners(silent=True)) as server, linked(server, login(certificates, tls=tls), **bounds) as link:
        error = ending(lambda: link.one("SELECT 1"))
    assert isinstance(error, RecordsUnavailable)
    assert "no connection within 0.5 s" in str(error)


def test_a_machine_that_does_not_answer_is_given_up() -> None:
    """Its queue of connections is full, so that the next one's first packet is dropped."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(closing(socket.socket()))
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        link = Link([Address("127.0.0.1", listener.getsockname()[1])], login(), connect_s=SHORT_S)
        error = ending(lambda: link.one("SELECT 1"))
    assert isinstance(error, RecordsUnavailable)
    assert "timed out" in str(error)


def test_a_name_that_is_not_found_in_time_is_given_up() -> None:
    ended = threading.Event()

    def never(*_: Any, **__: Any) -> Any:
        ended.wait()
        return []

    link = Link([Address(ELSEWHERE)], login(), connect_s=SHORT_S, resolve=never)
    error = ending(lambda: link.one("SELECT 1"))
    ended.set()
    assert isinstance(error, RecordsUnavailable)
    assert f"the name {ELSEWHERE} was not found within 0.5 s" in str(error)


def test_a_name_that_does_not_exist_is_told() -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    link = Link([Address(ELSEWHERE)], login(), resolve=unknown)
    raised(RecordsUnavailable, lambda: link.one("SELECT 1"), f"the name {ELSEWHERE} was not found .*not known")


def test_of_a_name_with_several_addresses_the_one_that_answers_is_taken() -> None:
    with StandIn(Manners()) as server:

        def both(*_: Any, **__: Any) -> Any:
            return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in (free_port(), server.port)]

        with linked(server, login(tls="off"), host=ELSEWHERE, resolve=both) as link:
            link.change("SET @a = 1")
        assert "SET @a = 1" in server.statements


@pytest.mark.parametrize("size", [0, 3, 40])
def test_an_answer_that_stops_in_the_middle_is_given_up(size: int) -> None:
    """Before its first byte, in a packet's header, in a row; and it is not waited for a second time."""
    answer = mysql_standin.rows("a", "1")[:size]
    stalled = Manners(answers={"SELECT 1": answer} if answer else {"SELECT 1": b""})
    with StandIn(stalled) as server, linked(server, login(), timeout_s=SHORT_S) as link:
        link.change("SET @a = 1")
        error = ending(lambda: link.one("SELECT 1"))
    assert isinstance(error, RecordsUnavailable)
    assert "timed out" in str(error)
    assert server.statements.count("SELECT 1") == 1


def test_a_server_that_never_reads_is_given_up() -> None:
    with StandIn(Manners(deaf=True)) as server, linked(server, login(), timeout_s=SHORT_S) as link:
        error = ending(lambda: link.change("INSERT INTO t VALUES (%s)", "x" * 30_000_000))
    assert isinstance(error, RecordsUnavailable)
    assert error.code == 2006


# Closing


def test_closing_ends_a_statement_under_way(mariadb: MariaDB) -> None:
    """From another thread; the next use makes a new connection."""
    address = Address.parse(mariadb.address)
    with closing(Link([address], Login("root", "", "mysql"), timeout_s=PATIENCE_S * 2)) as link:
        number = link.one("SELECT CONNECTION_ID()")
        errors: list[BaseException | None] = []
        asking = threading.Thread(target=lambda: errors.append(ending(lambda: link.one("SELECT SLEEP(1000)"))))
        asking.start()
        seen = "SELECT 1 FROM information_schema.processlist WHERE info = 'SELECT SLEEP(1000)'"
        eventually(lambda: mariadb.run(seen))
        link.close()
        link.close()
        asking.join(PATIENCE_S)
        assert isinstance(errors[0], RecordsUnavailable)
        assert "closed meanwhile" in str(errors[0])
        assert link.one("SELECT CONNECTION_ID()") != number


def test_closing_ends_a_connection_that_is_being_made() -> None:
    """And no other address is tried after it."""
    with StandIn(Manners(silent=True)) as server, StandIn(Manners()) as other:
        addresses = [Address.parse(server.address), Address.parse(other.address)]
        link = Link(addresses, login(), connect_s=PATIENCE_S * 2)
        errors: list[BaseException | None] = []
        asking = threading.Thread(target=lambda: errors.append(ending(lambda: link.one("SELECT 1"))))
        asking.start()
        eventually(lambda: server.connections)
        link.close()
        asking.join(PATIENCE_S)
        assert "closed meanwhile" in str(errors[0])
        assert other.connections == 0


def test_closing_where_nothing_is_open_does_nothing() -> None:
    link = Link([Address("127.0.0.1", free_port())], login())
    link.close()
    link.close()
    raised(RecordsUnavailable, lambda: link.one("SELECT 1"), "Connection refused")
    link.close()


# A server behind a proxy


@dataclass
class Bench:
    """A real server, a proxy before it, and a table with an account."""

    server: MariaDB
    proxy: Proxy
    database: str

    def link(self, *before: str, **more: Any) -> Link:
        """Return a link through the proxy, with other addresses before it."""
        addresses = [Address.parse(each) for each in (*before, self.proxy.address)]
        return Link(addresses, Login("side", PASSWORD, self.database), **{"timeout_s": PATIENCE_S, **more})

    @property
    def held(self) -> list[int]:
        return [row[0] for row in self.server.run("SELECT a FROM t ORDER BY a", database=self.database)]


@pytest.fixture
def bench(mariadb: MariaDB) -> Iterator[Bench]:
    database = mariadb.new_database()
    mariadb.run("CREATE TABLE t (a INT PRIMARY KEY)", database=database)
    mariadb.run(f"CREATE OR REPLACE USER side IDENTIFIED BY '{PASSWORD}'")
    mariadb.run(f"GRANT ALL ON {database}.* TO side")
    with Proxy(mariadb.port) as proxy:
        yield Bench(mariadb, proxy, database)


def test_what_is_asked_and_changed(bench: Bench) -> None:
    with closing(bench.link()) as link:
        link.many("INSERT INTO t (a) VALUES (%s)", [(1,), (2,)])
        assert link.change("UPDATE t SET a = a + 10 WHERE a = %s", 2) == 1
        assert link.all("SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 12}]
        assert link.one("SELECT a FROM t WHERE a = %s", 12) == 12
        assert link.one("SELECT a FROM t WHERE a = %s", 13) is None
        assert str(link.address) == bench.proxy.address


def test_the_session_is_in_utc_strict_and_waits_less_than_we_do(bench: Bench) -> None:
    with closing(bench.link(timeout_s=10.0)) as link:
        [told] = link.all("SELECT @@time_zone AS z, @@innodb_lock_wait_timeout AS i, @@lock_wait_timeout AS w")
        assert told == {"z": "+00:00", "i": 5, "w": 5}
        raised(RowRefused, lambda: link.change("INSERT INTO t VALUES (99999999999)"))
    assert bench.held == []


def test_what_only_reads_is_asked_again_over_a_new_connection(bench: Bench) -> None:
    with closing(bench.link()) as link:
        link.one("SELECT 1")
        bench.proxy.cut()
        assert link.one("SELECT 2") == 2
        assert bench.proxy.connections == 2


def test_what_changes_something_is_never_done_again(bench: Bench) -> None:
    """Nobody here knows whether the server has done it; the next call finds a new connection."""
    with closing(bench.link()) as link:
        link.one("SELECT 1")
        bench.proxy.cut()
        caught = raised(RecordsUnavailable, lambda: link.change("INSERT INTO t VALUES (1)"))
        assert caught.code in {2006, 2013}
        link.change("INSERT INTO t VALUES (2)")
    assert bench.held == [2]


def test_a_new_connection_that_breaks_is_not_made_again_at_once() -> None:
    """Who asks may wait first; the next call tries again."""
    with StandIn(Manners(raw=b"")) as server, linked(server, login()) as link:
        raised(RecordsUnavailable, lambda: link.one("SELECT 1"))
        assert server.connections == 1
        raised(RecordsUnavailable, lambda: link.one("SELECT 1"))
        assert server.connections == 2


def test_a_transaction_is_begun_again_where_the_connection_was_broken_before(bench: Bench) -> None:
    with closing(bench.link()) as link:
        link.one("SELECT 1")
        bench.proxy.cut()
        with link.transaction():
            link.change("INSERT INTO t VALUES (1)")
    assert bench.held == [1]


def test_a_transaction_is_taken_whole_or_not_at_all(bench: Bench) -> None:
    with closing(bench.link()) as link:
        raised(RowRefused, together(link, insert(link, 1), insert(link, 1)))
        assert bench.held == []
        with link.transaction():
            link.many("INSERT INTO t (a) VALUES (%s)", [(1,), (2,)])
        assert bench.held == [1, 2]
        assert bench.proxy.connections == 1


def test_nothing_is_done_in_a_transaction_whose_connection_was_lost(bench: Bench) -> None:
    """Not even by who goes on after the error: what follows would be done alone."""
    with closing(bench.link()) as link:

        def lose() -> None:
            bench.proxy.cut()
            assert raised(RecordsUnavailable, lambda: link.one("SELECT 1")).code in {2006, 2013}

        raised(RecordsUnavailable, together(link, insert(link, 1), lose, insert(link, 2)), "the transaction is over")
        assert bench.held == []
        link.change("INSERT INTO t VALUES (3)")
    assert bench.held == [3]


def test_nothing_is_done_in_a_transaction_that_was_closed_between_two_statements(bench: Bench) -> None:
    with closing(bench.link()) as link:
        work = together(link, insert(link, 1), link.close, insert(link, 2))
        raised(RecordsUnavailable, work, "the transaction is over")
    assert bench.held == []


def test_a_transaction_that_was_closed_is_not_committed(bench: Bench) -> None:
    with closing(bench.link()) as link:
        raised(RecordsUnavailable, together(link, insert(link, 1), link.close), "the transaction is over")
    assert bench.held == []


def test_a_commit_whose_answer_is_lost_is_unavailable_and_may_have_been_done(bench: Bench) -> None:
    with closing(bench.link()) as link:
        bench.proxy.swallow_commit_answer(2)
        together(link, insert(link, 1))()
        raised(RecordsUnavailable, together(link, insert(link, 2)))
        assert (bench.proxy.commits, bench.proxy.swallowed) == (2, 1)
        assert bench.held == [1, 2]
        raised(RowRefused, together(link, insert(link, 2)))


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_answers_to_commits_are_lost_by_chance(chance: float, bench: Bench) -> None:
    """Whichever are lost: what was told to be done was done, and what was not told so was done too, here."""
    bench.proxy.swallow_commit_answers(chance, random.Random(4))
    told = 0
    with closing(bench.link()) as link:
        for number in range(20):
            with suppress(RecordsUnavailable):
                together(link, insert(link, number))()
                told += 1
    assert bench.held == list(range(20))
    assert told == 20 - bench.proxy.swallowed
    assert (bench.proxy.swallowed > 0, told > 0) == (chance > 0, chance < 1)


def test_a_transaction_in_a_transaction_is_refused(bench: Bench) -> None:
    """The server would commit the first when the second begins."""
    with closing(bench.link()) as link:
        raised(RecordsFailed, together(link, insert(link, 1), together(link, insert(link, 2))), "under way")
    assert bench.held == []


def test_a_mistake_of_ours_leaves_no_half_transaction_behind(bench: Bench) -> None:
    """Nor a connection on which half an answer may be waiting."""
    with closing(bench.link()) as link:
        wrong = together(link, insert(link, 1), lambda: link.change("INSERT INTO t VALUES (%s)", {}))
        with pytest.raises(TypeError):
            wrong()
        assert bench.held == []
        assert link.one("SELECT 1") == 1
        assert bench.proxy.connections == 2


def test_a_snapshot_sees_one_state(bench: Bench) -> None:
    with closing(bench.link()) as link:
        link.change("INSERT INTO t VALUES (1)")
        with link.snapshot():
            bench.server.run("INSERT INTO t VALUES (2)", database=bench.database)
            assert link.all("SELECT a FROM t") == [{"a": 1}]
        assert len(link.all("SELECT a FROM t")) == 2


def test_a_snapshot_changes_nothing(bench: Bench) -> None:
    def change() -> None:
        with link.snapshot():
            link.change("INSERT INTO t VALUES (3)")

    with closing(bench.link()) as link:
        assert raised(RecordsUnavailable, change).code == 1792
    assert bench.held == []


# Several addresses


def test_the_next_address_is_tried_and_kept(bench: Bench) -> None:
    """Also when the first is back: a door changes its server only where it must."""
    with Proxy(bench.server.port) as other, closing(bench.link(other.address)) as link:
        other.refuse()
        assert link.one("SELECT 1") == 1
        assert str(link.address) == bench.proxy.address
        other.admit()
        link.close()
        assert link.one("SELECT 1") == 1
        assert (other.connections, bench.proxy.connections) == (0, 2)


def test_after_a_failure_the_next_address_comes_first(bench: Bench) -> None:
    """The one that failed may still take connections, and do no more."""
    with Proxy(bench.server.port) as other, closing(bench.link(other.address, timeout_s=SHORT_S)) as link:
        link.one("SELECT 1")
        other.hold()
        assert isinstance(ending(lambda: link.change("SET @a = 1")), RecordsUnavailable)
        link.change("SET @a = 1")
        assert (other.connections, bench.proxy.connections) == (1, 1)


def test_where_no_address_lets_us_in_all_are_named() -> None:
    dead = f"127.0.0.1:{free_port()}"
    gone = "/nowhere/s.sock"
    addresses = [Address.parse(each) for each in (dead, gone)]
    caught = raised(
        RecordsUnavailable,
        lambda: Link(addresses, login()).one("SELECT 1"),
        f"{dead}: Connection refused; {gone}: No such file",
    )
    assert not isinstance(caught, ShutOut)


def test_that_one_shuts_us_out_counts_more_than_that_others_are_away(bench: Bench) -> None:
    addresses = [Address("127.0.0.1", free_port()), Address.parse(bench.proxy.address)]
    caught = raised(
        ShutOut, lambda: Link(addresses, login(password="hunter3")).one("SELECT 1"), "Connection refused; .*error 1045"
    )
    assert caught.code == 1045


def test_who_writes_passes_over_a_replica(bench: Bench) -> None:
    with StandIn(Manners(read_only="1", answers={"SELECT a": mysql_standin.rows("a", "7")})) as replica:
        with closing(bench.link(replica.address, writes=True)) as link:
            link.change("INSERT INTO t VALUES (1)")
            assert str(link.address) == bench.proxy.address
        with closing(bench.link(replica.address)) as link:
            assert link.one("SELECT a FROM t") == "7"
    assert bench.held == [1]


def test_who_writes_and_finds_replicas_only_is_told() -> None:
    with StandIn(Manners(read_only="ON")) as replica, linked(replica, login(), writes=True) as link:
        caught = raised(RecordsUnavailable, lambda: link.change("SET @a = 1"), "the server is read-only")
    assert caught.code == 1290


@pytest.mark.parametrize("code", [1290, 1836, 1047])
def test_a_server_that_became_a_replica_or_left_its_cluster_is_left(code: int, bench: Bench) -> None:
    """The one statement fails, and what comes next goes to the next address."""
    manners = Manners(answers={"INSERT": mysql_standin.error(code)})
    with StandIn(manners) as old, closing(bench.link(old.address)) as link:
        caught = raised(RecordsUnavailable, lambda: link.change("INSERT INTO t VALUES (1)"))
        assert caught.code == code
        link.change("INSERT INTO t VALUES (2)")
    assert bench.held == [2]


def test_a_node_that_is_not_ready_is_passed_over(bench: Bench) -> None:
    """One of Galera's without the majority refuses all with 1047 but what needs no table, such as a variable."""
    manners = Manners(answers={"DO": mysql_standin.error(1047)})
    with StandIn(manners) as node, closing(bench.link(node.address)) as link:
        assert link.one("SELECT 1") == 1


# Servers that mean no good


def test_a_server_gets_no_file(tmp_path: Path) -> None:
    """LOAD DATA LOCAL: a server may ask for any file in answer to any statement."""
    file = tmp_path / "secret"
    file.write_text("chain key")
    asked = mysql_standin.packet(1, b"\xfb" + str(file).encode())
    with StandIn(Manners(answers={"SELECT 1": asked})) as server, linked(server, login()) as link:
        raised(RecordsUnavailable, lambda: link.one("SELECT 1"))
    assert not server.told(b"chain key")


GREETING = b"\x0a8.0.36\x00" + struct.pack("<I", 7) + b"saltsalt\x00" + b"\xff\xff\xff\x02\x00\xff\xc7\x15" + bytes(10)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda tail: mysql_standin.packet(0, GREETING + tail)))
)
def test_whatever_greets_us_only_our_errors_come_out(said: bytes) -> None:
    with StandIn(Manners(raw=said)) as server, linked(server, login(), timeout_s=SHORT_S) as link:
        error = ending(lambda: link.one("SELECT 1"))
    assert isinstance(error, RecordsUnavailable | RecordsFailed)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_whatever_is_answered_only_our_errors_come_out(said: list[bytes]) -> None:
    answer = b"".join(mysql_standin.packet(number, payload) for number, payload in enumerate(said, 1))
    manners = Manners(cached=True, answers={"SELECT 1": answer})
    with StandIn(manners) as server, linked(server, login(), timeout_s=0.05) as link:
        error = ending(lambda: link.one("SELECT 1"))
    assert error is None or isinstance(error, RecordsUnavailable | RecordsFailed)

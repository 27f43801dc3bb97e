"""A Kubernetes API server 1.36 as far as a DNS server needs it: lists, watches, credentials, refusals.

It serves one Store over HTTP/1.1, on loopback and with TLS unless told otherwise, and does what its Faults say.
The order of checks is that of the real one: credentials, then permission, then whether the path exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import ssl
import tempfile
import uuid
import zlib
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from fastdns.bench.apiserver import kubeconfig, statuses
from fastdns.bench.apiserver.answers import Form, pretty
from fastdns.bench.apiserver.discovery import PROBES, document
from fastdns.bench.apiserver.faults import Fault, Faults, Request
from fastdns.bench.apiserver.kinds import IMPORTS, KINDS, Kind
from fastdns.bench.apiserver.options import EXACT, Options, parse
from fastdns.bench.apiserver.pipe import Cut, Pipe
from fastdns.bench.apiserver.protobuf import MEDIA_TYPE, ProtobufForm
from fastdns.bench.apiserver.statuses import Refused
from fastdns.bench.apiserver.store import Gone, Store, Table, encode
from fastdns.bench.apiserver.tls import Authority
from fastdns.tls import client_context

SERVICE_ACCOUNT = "system:serviceaccount:kube-system:coredns"
ADMIN = "kubernetes-admin"
ANONYMOUS = "system:anonymous"
# The interval of bookmarks, for a watch that asked for them.
BOOKMARK_EVERY_S = 60.0
# A watch's last bookmark comes this long before its timeout.
BOOKMARK_LEAD_S = 2.0
# How long a list waits for a future resourceVersion.
FUTURE_WAIT_S = 3.0
# A watch without a timeout ends after this time, up to twice of it.
MIN_WATCH_S = 1800.0
# Larger responses have no content-length; above the second size they are compressed if the client accepts it.
UNSIZED_BYTES = 4096
GZIP_BYTES = 128 * 1024


AnyForm = Form | ProtobufForm


class ApiServer:
    """The server; everything it does happens on the loop that ``start`` was called on."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        tls: bool = True,
        auth: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        imports: bool = False,
        gzip: bool = True,
        protobuf: bool = True,
        directory: Path | None = None,
        key_identifiers: bool = True,
        bookmark_every_s: float = BOOKMARK_EVERY_S,
        future_wait_s: float = FUTURE_WAIT_S,
    ) -> None:
        self.store = store or Store()
        self.faults = Faults()
        self.auth = auth
        self.host = host
        self.port = port
        self.gzip = gzip
        # Whether it answers in protobuf if the client accepts that; custom resources are always JSON.
        self.protobuf = protobuf
        self.bookmark_every_s = bookmark_every_s
        self.future_wait_s = future_wait_s
        self.installed = {plural for plural in KINDS if imports or plural != IMPORTS.plural}
        # The rights of the service account; the administrator may do everything.
        self.permissions: dict[str, set[str]] = {plural: {"list", "watch"} for plural in KINDS}
        self.token = secrets.token_urlsafe(24)
        self.tokens = {self.token}
        self.requests: deque[Request] = deque(maxlen=10_000)
        self.watches = 0
        self._tls = tls
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="apiserver-")
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self.token_file = self.directory / "token"
        self.token_file.write_text(self.token)
        self._token_files = [self.token_file]
        self._authority = Authority(self.directory, key_identifiers=key_identifiers) if tls else None
        self._flow = {
            "X-Kubernetes-Pf-Flowschema-Uid": str(uuid.uuid4()),
            "X-Kubernetes-Pf-Prioritylevel-Uid": str(uuid.uuid4()),
        }
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._random = random.Random(1)
        self._listening: asyncio.Task[None] | None = None
        self._listens_silently = False
        # Connections that are never answered again, and the fault that made them so.
        self._frozen: set[Any] = set()
        self._frozen_by: Fault | None = None
        self._silenced: set[asyncio.BaseTransport] = set()

    # Address and credentials.

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def ca_file(self) -> Path | None:
        return self._authority.ca_file if self._authority else None

    def client_context(self) -> ssl.SSLContext | None:
        """A TLS context that trusts this server."""
        return client_context(cafile=str(self.ca_file)) if self._tls else None

    def client_certificate(self, user: str = ADMIN) -> tuple[Path, Path]:
        """Certificate and key of a user; anyone but the service account may do everything."""
        if self._authority is None:
            raise RuntimeError("client certificates need TLS")
        return self._authority.client(user, ("system:masters",))

    def rotate_token(self, *, keep_old: bool = False) -> str:
        """A new token, in the token files too; the old ones are refused from now on."""
        self.token = secrets.token_urlsafe(24)
        if not keep_old:
            self.tokens.clear()
        self.tokens.add(self.token)
        for file in self._token_files:
            file.write_text(self.token)
        return self.token

    def kubeconfig(self, path: Path, *, how: str = "token", embed: bool = False) -> Path:
        """Writes a kubeconfig; ``how`` is one of kubeconfig.HOWS."""
        client = self.client_certificate() if how == "cert" else None
        return kubeconfig.write(
            path,
            self.url,
            how=how,
            token_file=self.token_file,
            ca_file=self.ca_file,
            client=client,
            embed=embed,
        )

    def service_account(self, directory: Path) -> dict[str, str]:
        """Writes the files of a pod's service account (token, ca.crt, namespace); returns its environment."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "token").write_text(self.token)
        self._token_files.append(directory / "token")
        (directory / "namespace").write_text("kube-system")
        if self.ca_file is not None:
            (directory / "ca.crt").write_bytes(self.ca_file.read_bytes())
        return {"KUBERNETES_SERVICE_HOST": self.host, "KUBERNETES_SERVICE_PORT": str(self.port)}

    # Start and end.

    async def __aenter__(self) -> ApiServer:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens; afterwards ``url`` is right."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_response_prepare.append(_strip)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        # Bound but not listening, it keeps the port for us while connections are refused.
        self._held = _bound(self.host, self.port)
        self.port = self._held.getsockname()[1]
        self.faults.on_change.append(self._follow)
        self._hook()
        await self._listen()

    async def stop(self) -> None:
        """Ends all connections and stops listening."""
        if self._runner is None:
            return
        self._close()
        if self._listening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        self._close()
        await self._runner.cleanup()
        self._runner = None
        if self._held is not None:
            self._held.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def disconnect(self) -> None:
        """Resets every open connection."""
        if self._runner is None or self._runner.server is None:
            return
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for transport in self._silenced:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.abort()
        self._silenced.clear()

    def replace(self, store: Store) -> None:
        """Another cluster behind the same address: other objects, versions, uids; connections are reset."""
        self.store.hide = None
        self.store = store
        self._hook()
        self.disconnect()

    async def _listen(self) -> None:
        assert self._runner is not None and self._runner.server is not None
        if self._listener is not None:
            self._listener.close()
        self._listens_silently = self.faults.find("silent") is not None
        context = self._authority.server_context(self.host) if self._authority else None
        loop = asyncio.get_running_loop()
        listening = _bound(self.host, self.port)
        if self._listens_silently:
            self._listener = await loop.create_server(lambda: _Silence(self), sock=listening, backlog=1024)
        else:
            self._listener = await loop.create_server(
                self._runner.server, sock=listening, ssl=context, backlog=1024
            )

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.disconnect()

    def _follow(self) -> None:
        """Listens or does not, as the faults say, and freezes what is open."""
        silent = self.faults.find("silent")
        fault = self.faults.find("freeze") or silent
        if fault is not None and fault is not self._frozen_by:
            self._frozen_by = fault
            assert self._runner is not None and self._runner.server is not None
            self._frozen = set(self._runner.server.connections)
        if self.faults.find("refuse"):
            self._close()
        elif (self._listener is None or self._listens_silently != (silent is not None)) and (
            self._listening is None or self._listening.done()
        ):
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def thaw(self, request: web.Request) -> None:
        """Waits for the end of a frozen connection."""
        if request.protocol in self._frozen:
            self.faults.hits["freeze"] += 1
            await asyncio.Event().wait()

    def _hook(self) -> None:
        self.store.hide = self._hidden

    def _hidden(self, resource: str, key: str) -> bool:
        fault = self.faults.find("drop", resource, "watch")
        if fault is None or fault.options.get("key", key) != key:
            return False
        self.faults.take("drop", resource, "watch")
        return True

    # One request.

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        record = Request.now(request.method, request.path, dict(request.query))
        self.requests.append(record)
        await self.thaw(request)
        try:
            response = await self._answer(request, record)
        except Refused as refused:
            response = self._refusal(request, refused)
        except (Cut, ConnectionError):
            if request.transport is not None:
                request.transport.close()
            response = web.Response()
        record.status = record.status or response.status
        return response

    async def _answer(self, request: web.Request, record: Request) -> web.StreamResponse:
        path = request.path
        kind, namespace, name = self._route(path)
        watch = request.query.get("watch", "") in ("1", "true")
        verb = "get" if kind is None or name else "watch" if watch else "list"
        plural = kind.plural if kind else ""
        if self.faults.find("hang", plural, verb):
            self.faults.hits["hang"] += 1
            await self.faults.gone("hang", plural, verb)
        if fault := self.faults.take("too_many", plural, verb):
            raise statuses.too_many(int(fault.options.get("retry_after_s", 1)))
        record.user = user = self._user(request, plural, verb)
        if kind is None:
            return self._other(request, user)
        if not self._may(user, kind, verb) or self.faults.take("forbidden", plural, verb):
            raise statuses.forbidden(user, verb, kind, namespace)
        if fault := self.faults.take("error", plural, verb):
            raise statuses.internal(int(fault.options.get("code", 500)))
        if kind.plural not in self.installed or self.faults.take("not_found", plural, verb):
            raise statuses.no_such_path()
        if name:
            return self._get(request, kind, namespace, name)
        if self.faults.take("gone", plural, verb):
            raise statuses.expired_list()
        old = self.faults.find("no_streaming", plural, "watch")
        query = dict(request.query)
        if old is not None and old.options.get("form") == "ignored" and query.pop("sendInitialEvents", None):
            self.faults.take("no_streaming", plural, "watch")
            query.pop("resourceVersionMatch", None)
        invalid = old is not None and old.options.get("form") == "invalid"
        if invalid and "sendInitialEvents" in query:
            self.faults.take("no_streaming", plural, "watch")
        options = parse(query, kind, namespace, streaming=not invalid)
        form = self._form(request, kind)
        if not options.watch:
            return await self._list(request, form, options)
        self.watches += 1
        record.status = 200
        try:
            return await self._watch(request, form, options)
        finally:
            self.watches -= 1

    def _form(self, request: web.Request, kind: Kind) -> AnyForm:
        """The form of the response: the first one in the client's Accept that this server has."""
        for clause in request.headers.get("Accept", "*/*").split(","):
            media, *parameters = [part.strip() for part in clause.split(";")]
            partial = any(parameter.startswith("as=PartialObjectMetadata") for parameter in parameters)
            if media == MEDIA_TYPE and self.protobuf and not kind.custom and not partial:
                return ProtobufForm(kind)
            if media in ("application/json", "application/*", "*/*"):
                return Form(kind, partial)
        raise statuses.not_acceptable()

    def warm(self) -> None:
        """Encode every object in protobuf now, so that the first client does not wait for it."""
        for kind in KINDS.values():
            if not kind.custom:
                form = ProtobufForm(kind)
                for version in self.store.tables[kind.plural].current.values():
                    form.item(version)

    def _route(self, path: str) -> tuple[Kind | None, str, str]:
        """The resource, namespace and name of a path."""
        for kind in KINDS.values():
            if not path.startswith(kind.path + "/"):
                continue
            match path[len(kind.path) + 1 :].split("/"):
                case [plural] if plural == kind.plural:
                    return kind, "", ""
                case [plural, name] if plural == kind.plural and not kind.namespaced:
                    return kind, "", name
                case ["namespaces", namespace, plural] if plural == kind.plural and kind.namespaced:
                    return kind, namespace, ""
                case ["namespaces", namespace, plural, name] if plural == kind.plural and kind.namespaced:
                    return kind, namespace, name
        return None, "", ""

    def _user(self, request: web.Request, plural: str, verb: str) -> str:
        """The user of a request."""
        if self.faults.take("unauthorized", plural, verb):
            raise statuses.unauthorized()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer" or token.strip() not in self.tokens:
                raise statuses.unauthorized()
            return SERVICE_ACCOUNT
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        if certificate:
            names = [value for part in certificate["subject"] for name, value in part if name == "commonName"]
            return str(names[0])
        return ANONYMOUS if self.auth else ADMIN

    def _may(self, user: str, kind: Kind, verb: str) -> bool:
        if user == SERVICE_ACCOUNT:
            return verb in self.permissions.get(kind.plural, ())
        return user != ANONYMOUS

    def _other(self, request: web.Request, user: str) -> web.Response:
        """Paths that are not of a resource."""
        path = request.path.rstrip("/")
        public = path in PROBES or path == "/version"
        if not public and (
            user == ANONYMOUS or (user == SERVICE_ACCOUNT and not path.startswith(("/api", "/apis")))
        ):
            raise statuses.forbidden_path(user, request.method.lower(), request.path)
        if path in PROBES:
            headers = {**self._headers(statuses.TEXT), "X-Content-Type-Options": "nosniff"}
            return web.Response(body=b"ok", headers=headers)
        found = document(path, self.installed, self.url.partition("//")[2])
        if found is None:
            raise statuses.no_such_path()
        body = pretty(encode(found)) if path == "/version" else self._maybe_pretty(request, encode(found))
        return web.Response(body=body, headers=self._headers())

    def _get(self, request: web.Request, kind: Kind, namespace: str, name: str) -> web.Response:
        try:
            obj = self.store.get(kind.plural, namespace, name)
        except KeyError:
            raise statuses.not_found(kind, name) from None
        return web.Response(body=self._maybe_pretty(request, encode(obj)), headers=self._headers())

    # Lists.

    async def _list(self, request: web.Request, form: AnyForm, options: Options) -> web.StreamResponse:
        plural = form.kind.plural
        table = self.store.tables[plural]
        start, limit, rv = "", options.limit, None
        prefix = options.selector.namespace + "/" if options.selector.namespace else ""
        if options.continuation:
            version, start = statuses.parse_continue(options.continuation)
            if self.faults.take("expired_continue", plural, "list"):
                raise statuses.expired_continue(statuses.continue_token(-1, start))
            rv = version if version > 0 else None
        elif options.version == 0:
            # Lists "at any version" come whole from the watch cache, whatever the limit.
            limit = 0
        elif options.version is not None:
            await self._until(options.version)
            # With a limit and no match the version is exact, as before versions could be matched.
            if options.match == EXACT or (limit and not options.match):
                rv = options.version
        try:
            snapshot = table.snapshot(rv)
        except Gone:
            if options.continuation:
                raise statuses.expired_continue(statuses.continue_token(-1, start)) from None
            raise statuses.expired_list() from None
        found, following, remaining = snapshot.page(options.selector, prefix + start, limit)
        shown = self.store.rv if rv is None else rv
        token = statuses.continue_token(shown, following.removeprefix(prefix)) if following else ""
        if fault := self.faults.take("wrong_version", plural, "list"):
            shown += int(fault.options.get("by", 1000))
        pieces = form.list_(found, shown, token, remaining if options.selector.empty else None)
        return await self._send_list(request, form, pieces)

    async def _until(self, version: int) -> None:
        """Waits until the store has a version. Raises Refused if that takes too long."""
        deadline = asyncio.get_running_loop().time() + self.future_wait_s
        while version > self.store.rv:
            if asyncio.get_running_loop().time() >= deadline:
                raise statuses.too_large_version(version, self.store.rv)
            await asyncio.sleep(0.01)

    async def _send_list(self, request: web.Request, form: AnyForm, pieces: Iterable[bytes]) -> web.StreamResponse:
        plural = form.kind.plural
        iterator = iter(pieces)
        if _wants_pretty(request) and isinstance(form, Form):
            iterator = iter([pretty(b"".join(iterator))])
        head: list[bytes] = []
        size = 0
        for piece in iterator:
            head.append(piece)
            size += len(piece)
            if size > GZIP_BYTES:
                break
        pipe = Pipe(request, self.faults, plural, "list", self.thaw)
        if size < UNSIZED_BYTES and not self.faults.active:
            return web.Response(body=b"".join(head), headers=self._headers(form.content_type))
        zipped = self.gzip and size > GZIP_BYTES and "gzip" in request.headers.get("Accept-Encoding", "")
        extra = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"} if zipped else {}
        await pipe.open({**self._headers(form.content_type), **extra})
        squeeze = zlib.compressobj(1, wbits=31) if zipped else None
        for piece in head:
            await pipe.send(squeeze.compress(piece) if squeeze else piece)
        for piece in iterator:
            await pipe.send(squeeze.compress(piece) if squeeze else piece)
        if squeeze:
            await pipe.send(squeeze.flush())
        await pipe.close()
        return pipe.response

    # Watches.

    async def _watch(self, request: web.Request, form: AnyForm, options: Options) -> web.StreamResponse:
        plural = form.kind.plural
        pipe = Pipe(request, self.faults, plural, "watch", self.thaw)
        await pipe.open(self._headers(form.stream_type))
        if options.initial_events and self.faults.take("no_streaming", plural, "watch"):
            await pipe.send(form.error(statuses.no_watch_list()))
            await pipe.close()
            return pipe.response
        watcher = _Watcher(self, pipe, form, options)
        with contextlib.suppress(ConnectionError):
            await watcher.run()
            await pipe.close()
        return pipe.response

    # Helpers.

    def _headers(self, content_type: str = statuses.JSON, *, known: bool = True) -> dict[str, str]:
        headers = {"Cache-Control": "no-cache, private", "Content-Type": content_type}
        return {**headers, **self._flow} if known else headers

    def _refusal(self, request: web.Request, refused: Refused) -> web.Response:
        plain = isinstance(refused.body, str)
        headers = self._headers(statuses.TEXT if plain else statuses.JSON, known=refused.known)
        headers.update({name.title(): value for name, value in refused.headers.items()})
        if isinstance(refused.body, str):
            body = refused.body.encode()
        else:
            body = self._maybe_pretty(request, encode(refused.body))
        return web.Response(status=refused.code, body=body, headers=headers)

    def _maybe_pretty(self, request: web.Request, body: bytes) -> bytes:
        return pretty(body) if _wants_pretty(request) else body + b"\n"


class _Silence(asyncio.Protocol):
    """A connection that is accepted and never answered."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.faults.hits["silent"] += 1
        self._transport = transport
        self._server._silenced.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._server._silenced.discard(self._transport)


class _Watcher:
    """One watch: the events that were sent, and those to be sent next."""

    def __init__(self, server: ApiServer, pipe: Pipe, form: AnyForm, options: Options) -> None:
        self._faults = server.faults
        self._store = server.store
        self._table: Table = server.store.tables[form.kind.plural]
        self._pipe = pipe
        self._form = form
        self._options = options
        self._at = (form.kind.plural, "watch")
        self._every_s = server.bookmark_every_s
        loop = asyncio.get_running_loop()
        self._now = loop.time
        timeout_s = options.timeout_s or MIN_WATCH_S * (1 + server._random.random())
        self._deadline = self._now() + timeout_s
        self._bookmark_at = self._next_bookmark()
        self._woken = asyncio.Event()
        self._told = 0

    async def run(self) -> None:
        """Sends all events until the timeout."""
        self._table.wake.add(self._woken.set)
        self._faults.on_change.append(self._woken.set)
        try:
            if await self._begin():
                while await self._step():
                    pass
        finally:
            self._table.wake.discard(self._woken.set)
            self._faults.on_change.remove(self._woken.set)

    async def _begin(self) -> bool:
        """The initial events, or the refusal of a version that is too old."""
        options = self._options
        initial = options.initial_events or (options.initial_events is None and not options.version)
        if not initial:
            self._told = self._store.rv if not options.version else options.version
            return True
        self._told = self._store.rv
        found, _, _ = self._table.snapshot().page(options.selector, "", 0)
        for piece in self._form.added(found):
            await self._pipe.send(piece)
        if options.initial_events and options.bookmarks:
            while options.version and self._store.rv < options.version:
                # The end is sent only when the state is as new as requested.
                if not await self._step(longest_s=0.01):
                    return False
            await self._flush()
            fault = self._faults.find("no_bookmarks", *self._at)
            if fault is None or not fault.options.get("initial"):
                await self._pipe.send(self._form.bookmark(self._shown(self._told), end=True))
        return True

    async def _step(self, longest_s: float = 3600.0) -> bool:
        """Sends new events, or waits for them; False when the watch is over."""
        self._woken.clear()
        if await self._struck():
            return False
        try:
            if await self._flush():
                return True
        except Gone as gone:
            await self._pipe.send(self._form.error(statuses.too_old(str(gone))))
            return False
        now = self._now()
        if now >= self._deadline:
            return False
        if self._options.bookmarks and now >= self._bookmark_at:
            self._bookmark_at = self._next_bookmark()
            if not self._faults.find("no_bookmarks", *self._at):
                await self._pipe.send(self._form.bookmark(self._shown(self._told)))
                return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._deadline - now, self._bookmark_at - now, longest_s)):
                await self._woken.wait()
        return True

    async def _flush(self) -> bool:
        """Sends the changes that were not sent yet; returns whether there were any."""
        events = self._table.since(self._told)
        self._told = max(self._told, self._store.rv)
        lines = [self._form.event(event, self._options.selector) for event in events if not event.hidden]
        await self._tell([line for line in lines if line])
        return bool(events)

    async def _struck(self) -> bool:
        """Whether a fault ends the watch here."""
        if self._faults.take("close", *self._at):
            return True
        if self._faults.take("gone_event", *self._at):
            message = str(Gone(self._told, self._store.rv))
            await self._pipe.send(self._form.error(statuses.too_old(message)))
            return True
        if self._faults.take("error_event", *self._at):
            body = statuses.internal().body
            assert isinstance(body, dict)
            await self._pipe.send(self._form.error(body))
            return True
        return False

    async def _tell(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if self._faults.active:
            if self._faults.take("garbage", *self._at):
                lines.insert(0, b'{"type":"MODIFIED","object":{"kind":\x00\xff\n')
            if self._faults.take("duplicate", *self._at):
                lines = [line for line in lines for _ in range(2)]
        await self._pipe.send(b"".join(lines))

    def _shown(self, rv: int) -> int:
        fault = self._faults.take("wrong_version", *self._at)
        return rv + int(fault.options.get("by", 1000)) if fault else rv

    def _next_bookmark(self) -> float:
        """Sends a bookmark at intervals, and once more shortly before the timeout."""
        now = self._now()
        last = self._deadline - BOOKMARK_LEAD_S
        return min(now + self._every_s, last) if now < last else now + self._every_s


def _bound(host: str, port: int) -> socket.socket:
    """A socket bound to an address; Linux allows several as long as only one listens."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


def _wants_pretty(request: web.Request) -> bool:
    if "pretty" in request.query:
        return request.query["pretty"] not in ("0", "false")
    return request.headers.get("User-Agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


async def _strip(request: web.Request, response: web.StreamResponse) -> None:
    """Removes the Server header: the real API server sends none."""
    response.headers.pop("Server", None)

"""A compose project of its own: a copy of what a checkout holds, a free port, and nothing left afterwards."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import redis

from bookstream.container_keys import CONTAINER_KEYS, is_container_key
from consumers.workers import WorkerWord
from marketdata.keys import Keys

ROOT: Final = Path(__file__).parents[2]
_FILES: Final = ("Dockerfile", ".dockerignore", "compose.yaml", ".env.example", "pyproject.toml")
_MORE_FILES: Final = ("constraints.txt", "README.md", "LICENSE")
_PACKAGES: Final = ("bookstream", "worker", "consumers", "simulator", "marketdata")
_LABEL: Final = "com.docker.compose.project"


def until(condition: Callable[[], Any], bound_s: float, story: Callable[[], str]) -> float:
    """Waits until the condition holds and returns how long that took, in seconds; its errors of Redis count as no."""
    began_s = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - began_s
        except redis.RedisError:
            pass
        assert time.monotonic() - began_s < bound_s, f"not within {bound_s} s:\n{story()}"
        time.sleep(0.1)


class ComposeProject:
    """Compose as a user calls it, in a folder as a user has it.

    Attributes:
        name: of the project, in front of the names of all that belongs to it.
        url: REDIS_URL of its Redis, as the programs of this machine reach it.
    """

    def __init__(self, folder: Path, *profiles: str) -> None:
        self.name = f"bookstream-test-{secrets.token_hex(4)}"
        for name in (*_FILES, *_MORE_FILES):
            shutil.copy(ROOT / name, folder / name)
        for name in _PACKAGES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(folder / ".env.example", folder / ".env")
        self._folder = folder
        self._command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        self._flags = [word for profile in profiles for word in ("--profile", profile)]
        port = _free_port()
        mine = {name: value for name, value in os.environ.items() if not is_container_key(name)}
        self._environ = mine | {"COMPOSE_PROJECT_NAME": self.name, "REDIS_PORT": str(port)}
        password = CONTAINER_KEYS["REDIS_PASSWORD"].value
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"

    def compose(self, *words: str, bound_s: float = 240) -> str:
        """Calls compose in the folder; returns what it said."""
        return self._run([*self._command, *self._flags, *words], bound_s)

    def docker(self, *words: str, bound_s: float = 30) -> str:
        """Calls docker; returns what it said."""
        return self._run(["docker", *words], bound_s)

    def containers(self, service: str) -> list[str]:
        """Ids (12 digits, the host names) of the containers of a service that run."""
        labels = [f"label={_LABEL}={self.name}", f"label=com.docker.compose.service={service}"]
        filters = [word for label in labels for word in ("--filter", label)]
        return sorted(self.docker("ps", "--quiet", *filters).split())

    def health(self, container: str) -> str:
        """starting, healthy or unhealthy."""
        return self._state(container)["Health"]["Status"]

    def started_at(self, container: str) -> str:
        """When the container was started last, as docker writes it."""
        return self._state(container)["StartedAt"]

    def has_a_way_out(self, container: str) -> bool:
        """Whether one of its networks leads out of this machine."""
        shown = json.loads(self.docker("inspect", container))[0]["NetworkSettings"]["Networks"]
        assert shown, "it is on a network"
        return any(not json.loads(self.docker("network", "inspect", one))[0]["Internal"] for one in shown)

    def kill9(self, container: str) -> None:
        """Kills the program from inside, as a crash would: `docker kill` would also end all restarts."""
        self._run(["docker", "exec", container, "sh", "-c", "kill -9 -1"], 30, check=False)

    def redis(self) -> redis.Redis:
        """A client to the project's Redis; the caller closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def words(self, state: str) -> list[WorkerWord]:
        """What workers in this state said in the last three seconds."""
        with self.redis() as client:
            ids = client.zrange(Keys().workers, 0, -1)
            records = [client.get(Keys().worker(one.decode())) for one in ids]  # type: ignore[union-attr]
            seconds, micros = client.time()  # type: ignore[misc]
        words = [WorkerWord.model_validate_json(record) for record in records if record]  # type: ignore[arg-type]
        return [
            word for word in words if word.state == state and word.is_heard(seconds * 1000 + micros // 1000)
        ]

    def last_ids(self) -> dict[bytes, bytes]:
        """The id of the newest entry of each market's stream."""
        with self.redis() as client:
            keys = sorted(client.scan_iter("book:*", count=1000))
            newest = {key: client.xrevrange(key, count=1) for key in keys}
        return {key: found[0][0] for key, found in newest.items() if found}  # type: ignore[index]

    def entries(self) -> int:
        """How many entries all markets' streams hold."""
        with self.redis() as client:
            return sum(client.xlen(key) for key in client.scan_iter("book:*", count=1000))  # type: ignore[misc]

    def left(self) -> list[str]:
        """Everything of the project that still exists."""
        mine = ["--quiet", "--filter", f"label={_LABEL}={self.name}"]
        found = [self.docker(*kind, *mine) for kind in (("ps", "--all"), ("network", "ls"), ("volume", "ls"))]
        # The classic command names images after the project and labels none.
        names = [word for dash in "_-" for word in ("--filter", f"reference={self.name}{dash}*")]
        images = self.docker("image", "ls", "--quiet", *names)
        return " ".join([*found, images]).split()

    def story(self) -> str:
        """What its containers did and said, for a test that failed."""
        return "\n".join(
            [
                self._run([*self._command, *self._flags, "ps"], 30, check=False),
                self._run([*self._command, *self._flags, "logs", "--tail", "15"], 30, check=False),
            ]
        )

    def remove(self) -> None:
        """Removes everything of the project, its data and images included."""
        self.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", bound_s=60)

    def _state(self, container: str) -> Any:
        return json.loads(self.docker("inspect", "--format", "{{json .State}}", container))

    def _run(self, words: list[str], bound_s: float, *, check: bool = True) -> str:
        done = subprocess.run(
            words,
            check=False,
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=bound_s,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

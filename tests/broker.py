"""A real Mosquitto on a free port of this machine, with a folder of its own; kill it, start it again, send by its own client."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from conftest import mosquitto
from ports import free_port

CONFIG = """
listener {port} 127.0.0.1
{access}
persistence true
persistence_location {folder}/
max_queued_messages 0
max_packet_size 20000000
user root
"""  # where root runs the tests it would become another, who cannot write there


class Broker:
    """`access`: lines of its configuration that say who may come; `tls`: the folder of ca.pem, server.pem and server.key."""

    def __init__(self, folder: Path, *, access: str = "allow_anonymous true", tls: Path | None = None) -> None:
        self.folder, self.tls = folder, tls
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{self.port}"
        if tls:
            access += f"\ncafile {tls}/ca.pem\ncertfile {tls}/server.pem\nkeyfile {tls}/server.key"
        (folder / "mosquitto.conf").write_text(CONFIG.format(port=self.port, access=access, folder=folder))
        self.start()

    def start(self) -> None:
        command = [str(mosquitto()), "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < until, "the broker does not start"
            time.sleep(0.02)

    def save(self) -> None:
        """Let it write what it keeps to the disk, as it does from time to time."""
        kept = self.folder / "mosquitto.db"
        before = kept.stat().st_mtime_ns if kept.exists() else 0
        self.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 20
        while not kept.exists() or kept.stat().st_mtime_ns == before:
            assert time.monotonic() < until, "the broker does not save"
            time.sleep(0.02)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def publish(self, topic: str, payload: bytes, *more: str) -> None:
        """By Mosquitto's own client, QoS 1: it returns when the broker has it."""
        command = ["mosquitto_pub", "-p", str(self.port), "-q", "1", "-t", topic, *more]
        done = subprocess.run([*command, "-s" if payload else "-n"], input=payload, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr

    def last_said(self, topic: str) -> str:
        """What is retained under a topic."""
        command = ["mosquitto_sub", "-p", str(self.port), "-t", topic, "-C", "1", "-W", "5"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

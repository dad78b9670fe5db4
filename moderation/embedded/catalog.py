"""The servers there are, by name."""

from moderation.embedded.postgres import Postgres
from moderation.embedded.s3 import S3
from moderation.embedded.server import Server
from moderation.embedded.valkey import Valkey

SERVERS: dict[str, type[Server]] = {server.name: server for server in (Postgres, Valkey, S3)}

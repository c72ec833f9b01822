"""Testcontainers for Python, as far as it goes without its own reaper's image: containers with its
labels and wait strategies, and its reaper's way of cleaning up, through a docker socket that is
mounted into a container. Run by tests/engine/python.rs."""

import http.client
import os
import time

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID
from testcontainers.core.waiting_utils import wait_for_logs

# As on a busy machine: an answer has all arrived before its head is read.
begin = http.client.HTTPResponse.begin


def begin_late(self):
    time.sleep(0.05)
    begin(self)


http.client.HTTPResponse.begin = begin_late

path = os.environ["DOCKER_HOST"].removeprefix("unix://")

with DockerContainer("busybox").with_command("sh -c 'echo ready; sleep 1000'").with_env(
    "A", "1"
) as box:
    wait_for_logs(box, "ready", timeout=30)
    assert box.exec(["sh", "-c", "echo $A"]).output == b"1\n"
    out, err = box.get_logs()
    assert (out, err) == (b"ready\n", b"")
    labels = box.get_wrapped_container().labels
    assert labels[LABEL_SESSION_ID] == SESSION_ID
print("ok container", flush=True)

client = docker.from_env()
assert client.containers.list(all=True) == []

# What a crashed test run leaves: nobody stops these two.
left = [DockerContainer("busybox").with_command("sleep 1000").start() for _ in range(2)]
stopped = left[0].get_wrapped_container()
stopped.kill()
keeper = (
    DockerContainer("busybox")
    .with_command("sleep 1000")
    .with_volume_mapping(path, "/var/run/docker.sock", "rw")
    .with_kwargs(labels={})
    .start()
)
inner = keeper.get_wrapped_container()
inner.reload()
kind = keeper.exec(["sh", "-c", "test -S /var/run/docker.sock && echo socket"])
assert kind.output == b"socket\n", kind
# The socket as the container sees it.
pid = inner.attrs["State"]["Pid"]
reaper = docker.DockerClient(base_url=f"unix:///proc/{pid}/root/var/run/docker.sock")
mine = {"label": f"{LABEL_SESSION_ID}={SESSION_ID}"}
pruned = reaper.containers.prune(filters=mine)
assert pruned["ContainersDeleted"] == [stopped.id], pruned
for found in reaper.containers.list(all=True, filters=mine):
    if found.id != inner.id:
        found.remove(force=True, v=True)
assert reaper.networks.prune(filters=mine)["NetworksDeleted"] in (None, [])
assert reaper.volumes.prune(filters=mine)["VolumesDeleted"] in (None, [])
assert [found.id for found in client.containers.list(all=True)] == [inner.id]
inner.remove(force=True)
print("ok reaper", flush=True)

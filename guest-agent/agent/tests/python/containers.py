"""docker-py drives every method of containers and exec sessions. Run by tests/engine/python.rs with
DOCKER_HOST set and the image busybox loaded."""

import threading
import time

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.types import Healthcheck, LogConfig

client = docker.from_env(timeout=60)
api = client.api


def until(what, condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)


def fails(kind, status, words, call):
    try:
        call()
    except kind as error:
        assert error.response.status_code == status, error
        assert words in error.explanation, error.explanation
    else:
        raise AssertionError(f"no error with {words}")


def running(**more):
    return client.containers.run("busybox", "sleep 1000", detach=True, **more)


def run():
    assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
    both = client.containers.run(
        "busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True
    )
    assert sorted(both.splitlines()) == [b"err", b"out"]
    lines = client.containers.run("busybox", "seq 3", remove=True, stream=True)
    assert list(lines) == [b"1\n", b"2\n", b"3\n"]
    try:
        client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    except ContainerError as error:
        assert (error.exit_status, error.stderr) == (3, b"why\n")
    else:
        raise AssertionError("an exit code of 3 is an error")
    fails(ImageNotFound, 404, "No such image", lambda: client.containers.create("nowhere:1"))
    fails(
        APIError,
        400,
        'exec: "nosuch": executable file not found in $PATH: unknown',
        lambda: client.containers.run("busybox", "nosuch", name="broken"),
    )
    broken = client.containers.get("broken")
    assert broken.attrs["State"]["ExitCode"] == 127
    broken.remove()
    assert client.containers.list(all=True) == []


def life():
    box = client.containers.create("busybox", "sleep 1000", name="life", labels={"a": "1"})
    assert box.status == "created" and box.name == "life" and box.labels == {"a": "1"}
    assert box.image.tags == ["busybox:latest"]
    box.start()
    box.start()
    box.reload()
    assert box.status == "running" and len(box.short_id) == 12
    box.pause()
    box.reload()
    assert box.status == "paused"
    fails(APIError, 409, "is already paused", box.pause)
    fails(APIError, 409, "unpause the container before exec", lambda: box.exec_run("true"))
    fails(APIError, 409, "container is paused and must be unpaused first", box.remove)
    box.unpause()
    fails(APIError, 500, "is not paused", box.unpause)
    box.rename("lived")
    assert client.containers.get("lived").id == box.id
    fails(APIError, 409, "is already in use by container", lambda: running(name="lived"))
    fails(APIError, 400, "same name as its current name", lambda: box.rename("lived"))
    top = box.top()
    assert top["Titles"][0] == "UID" and "sleep 1000" in top["Processes"][0][-1]
    assert box.top(ps_args="-o pid,args")["Titles"] == ["PID", "COMMAND"]
    fails(APIError, 409, "stop the container before removing or force remove", box.remove)
    box.restart(timeout=0)
    box.reload()
    assert box.status == "running"
    box.kill(signal="SIGKILL")
    assert box.wait()["StatusCode"] == 137
    fails(APIError, 409, "is not running", box.kill)
    box.stop()
    box.remove()
    fails(NotFound, 404, "No such container: lived", lambda: client.containers.get("lived"))


def waits():
    box = client.containers.create("busybox", ["sh", "-c", "exit 7"])
    found = {}

    def wait(condition):
        found[condition] = box.wait(condition=condition, timeout=60)["StatusCode"]

    waiters = [threading.Thread(target=wait, args=(c,)) for c in ("next-exit", "removed")]
    for waiter in waiters:
        waiter.start()
    # The head of the answer says that the wait has begun; docker-py has no way to look at it.
    time.sleep(0.5)
    box.start()
    waiters[0].join(60)
    assert found == {"next-exit": 7}, found
    assert box.wait()["StatusCode"] == 7
    box.remove()
    waiters[1].join(60)
    assert found["removed"] == 7
    box = client.containers.create("busybox", "true")
    fails(APIError, 400, 'invalid condition: "x"', lambda: box.wait(condition="x"))
    box.remove()


def logs():
    script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done; sleep 1000"
    box = client.containers.run(
        "busybox",
        ["sh", "-c", script],
        detach=True,
        log_config=LogConfig(type="local", config={"max-size": "1m"}),
    )
    until("all is written", lambda: box.logs().count(b"\n") == 6)
    assert box.logs(stderr=False) == b"out 1\nout 2\nout 3\n"
    assert box.logs(stdout=False, tail=1) in (b"err 3\n", b"")
    assert box.logs(tail=2).count(b"\n") == 2
    stamped = box.logs(timestamps=True, stderr=False).splitlines()[0]
    assert stamped[:2] == b"20" and stamped.endswith(b"Z out 1")
    assert box.logs(since=int(time.time()) + 3600) == b""
    assert box.logs(until=1) == b""
    follow = box.logs(stream=True, follow=True, stderr=False)
    assert next(follow) + next(follow) == b"out 1\nout 2\n"
    follow.close()
    box.remove(force=True)


def streams():
    box = client.containers.create(
        "busybox", "cat", stdin_open=True, detach=False, tty=False
    )
    socket = box.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    box.start()
    socket._sock.sendall(b"over the socket\n")
    until("it is in the log", lambda: box.logs() == b"over the socket\n")
    assert box.attach(logs=True, stream=False) == b"over the socket\n"
    socket.close()
    box.remove(force=True)

    tty = running(tty=True)
    tty.resize(40, 120)
    tty.remove(force=True)


def websocket():
    box = client.containers.create("busybox", ["sh", "-c", "read x; echo got $x"], stdin_open=True)
    try:
        import websocket  # noqa: F401
    except ImportError:
        # docker-py's own extra; the engine's other tests speak WebSocket.
        box.remove()
        return
    socket = box.attach_socket(ws=True, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    box.start()
    socket.send_binary(b"word\n")
    assert socket.recv() == b"got word\n"
    box.remove(force=True)


def execs():
    box = running(environment={"A": "1"}, working_dir="/tmp", user="1000")
    assert box.exec_run("pwd") == (0, b"/tmp\n")
    assert box.exec_run(["sh", "-c", "exit 5"]).exit_code == 5
    result = box.exec_run(
        ["sh", "-c", "echo $A$B; pwd; id -u; echo err >&2"],
        environment={"B": "2"},
        workdir="/",
        user="0",
        demux=True,
    )
    assert result.output == (b"12\n/\n0\n", b"err\n"), result
    assert b"".join(box.exec_run("seq 3", stream=True).output) == b"1\n2\n3\n"
    assert box.exec_run("tty", tty=True).output.startswith(b"/dev/pts/")
    assert b"CapEff:\t0000000000000000" in box.exec_run("cat /proc/self/status").output
    assert b"CapEff:\t0000000000000000" not in box.exec_run(
        "cat /proc/self/status", privileged=True, user="0"
    ).output

    made = api.exec_create(box.id, "cat", stdin=True, tty=True, detach_keys="a,b")
    seen = api.exec_inspect(made["Id"])
    assert seen["Running"] is False and seen["ExitCode"] is None and seen["Pid"] == 0
    assert seen["ProcessConfig"] == {
        "tty": True,
        "entrypoint": "cat",
        "arguments": [],
        "privileged": False,
        "user": "1000",
    }
    assert seen["OpenStdin"] and seen["OpenStdout"] and seen["OpenStderr"]
    assert seen["DetachKeys"] == "YWI=" and seen["ContainerID"] == box.id
    assert seen["CanRemove"] is False and seen["ID"] == made["Id"]
    socket = api.exec_start(made["Id"], tty=True, socket=True)
    until("it runs", lambda: api.exec_inspect(made["Id"])["Pid"] > 0)
    api.exec_resize(made["Id"], 10, 20)
    assert box.exec_run(["sh", "-c", "true"]).exit_code == 0
    box.reload()
    assert made["Id"] in box.attrs["ExecIDs"]
    fails(APIError, 409, "is already running", lambda: api.exec_start(made["Id"], detach=True))
    # The keys end the connection, not the session.
    socket._sock.sendall(b"ab")
    left = b"x"
    while left:
        left = socket._sock.recv(100)
    assert api.exec_inspect(made["Id"])["Running"] is True
    over = api.exec_create(box.id, "true")
    api.exec_start(over["Id"])
    fails(APIError, 409, "has already run", lambda: api.exec_start(over["Id"], detach=True))
    fails(NotFound, 404, "No such exec instance: nosuch", lambda: api.exec_inspect("nosuch"))
    fails(APIError, 400, "unable to find user nobody-here", lambda: box.exec_run("id", user="nobody-here"))
    fails(APIError, 400, "No exec command specified", lambda: api.exec_create(box.id, []))
    box.remove(force=True)
    fails(NotFound, 404, "No such exec instance", lambda: api.exec_inspect(made["Id"]))


def health():
    box = running(healthcheck=Healthcheck(test="exit 0", interval=10**8, retries=1))

    def healthy():
        box.reload()
        return box.health == "healthy"

    until("it is healthy", healthy)
    assert [c.id for c in client.containers.list(filters={"health": "healthy"})] == [box.id]
    box.remove(force=True)


def lists():
    first = running(name="first", labels={"team": "a"})
    second = running(name="second", labels={"team": "b"}, volumes=["/data"])
    third = client.containers.create("busybox", "true", name="third")

    def names(**more):
        return [found.name for found in client.containers.list(**more)]

    assert names() == ["second", "first"]
    assert names(all=True) == ["third", "second", "first"]
    assert names(limit=2) == ["third", "second"]
    since = {"since": "second"}
    assert names(filters={"before": "second"}) == ["first"]
    assert names(filters=since) == [] and names(filters=since, all=True) == ["third"]
    for filters, wanted in [
        ({"name": "^/?(first|second)$"}, ["second", "first"]),
        ({"id": first.id}, ["first"]),
        ({"label": "team=a"}, ["first"]),
        ({"label": ["team", "team=b"]}, ["second"]),
        ({"status": "created"}, ["third"]),
        ({"status": ["created", "running"]}, ["third", "second", "first"]),
        ({"ancestor": "busybox"}, ["second", "first"]),
        ({"ancestor": "nowhere"}, []),
        ({"network": "bridge"}, ["second", "first"]),
        ({"network": "host"}, []),
        ({"volume": "/data"}, ["second"]),
        ({"health": "none"}, ["second", "first"]),
        ({"is-task": "false"}, ["second", "first"]),
        ({"is-task": "true"}, []),
        ({"expose": "80"}, []),
        ({"publish": "80-90/tcp"}, []),
    ]:
        assert names(filters=filters) == wanted, (filters, names(filters=filters))
    second.kill()
    assert names(all=True, filters={"exited": 137}) == ["second"]
    for filters, status, words in [
        ({"nonsense": "1"}, 400, "invalid filter 'nonsense'"),
        ({"status": "new"}, 400, "invalid filter 'status=new'"),
        ({"exited": "x"}, 400, "invalid filter 'exited=x'"),
        ({"since": "nowhere"}, 404, "No such container: nowhere"),
    ]:
        fails(APIError, status, words, lambda: client.containers.list(filters=filters))
    first.exec_run(["sh", "-c", "head -c 100000 /dev/zero > /big"])
    sized = api.containers(size=True)[0]
    assert 100_000 <= sized["SizeRw"] < sized["SizeRootFs"], sized
    pruned = client.containers.prune(filters={"label!": "team=b"})
    assert pruned["ContainersDeleted"] == [third.id]
    pruned = client.containers.prune(filters={"until": "1h"})
    assert pruned == {"ContainersDeleted": None, "SpaceReclaimed": 0}
    assert client.containers.prune()["ContainersDeleted"] == [second.id]
    first.remove(force=True, v=True)


def events():
    since = time.time()
    box = running(name="eventful", labels={"team": "a"})
    box.exec_run("true")
    box.kill()
    box.remove()
    found = list(
        client.events(
            since=f"{since:.9f}",
            until=f"{time.time():.9f}",
            filters={"type": "container"},
            decode=True,
        )
    )
    actions = [event["Action"] for event in found]
    assert actions == [
        "create",
        "start",
        "exec_create: true ",
        "exec_start: true ",
        "exec_die",
        "kill",
        "die",
        "destroy",
    ], actions
    die = found[-2]
    assert die["Actor"]["ID"] == box.id == die["id"] and die["from"] == "busybox"
    attributes = die["Actor"]["Attributes"]
    assert attributes.pop("execDuration").isdigit()
    assert attributes == {
        "exitCode": "137",
        "image": "busybox",
        "name": "eventful",
        "team": "a",
    }
    assert die["timeNano"] // 10**9 == die["time"] and die["scope"] == "local"
    assert found[5]["Actor"]["Attributes"]["signal"] == "9"


for step in [run, life, waits, logs, streams, websocket, execs, health, lists, events]:
    step()
    print("ok", step.__name__, flush=True)

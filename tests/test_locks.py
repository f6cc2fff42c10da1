"""What one process writes no other one writes, whatever name it goes by, and a process that ends leaves no lock."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from kdsl import locks
from kdsl.errors import KdslError
from kdsl.locks import claimed, held
from kdsl.project.inputs import contents

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")

HOLD = """
import os, signal, sys
from pathlib import Path
from kdsl.locks import claimed, held
from kdsl.processes import worker_pool

if __name__ == "__main__":
    for number in signal.SIGINT, signal.SIGHUP:  # who started the tests may ignore them
        signal.signal(number, signal.SIG_DFL)
    kind, path, aside = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    with held(path) if kind == "held" else claimed(**{kind: [path]}):
        if aside == "forked":
            begun, tell = os.pipe()
            if os.fork() == 0:
                os.write(tell, b"1")
                os.read(0, 1)
                os._exit(0)
            os.read(begun, 1)  # before that it may not have run yet, and still have what it inherited
        if aside == "workers":
            working = worker_pool(1)
            working.__enter__().submit(abs, -1).result()
        print("has it", flush=True)
        sys.stdin.read()
        if aside == "writes":
            (path / "written").touch()
"""


@pytest.fixture
def holder(tmp_path):
    """holder("folders", path): a process that has claimed it until its stdin ends."""
    script = tmp_path / "holder.py"
    script.write_text(HOLD)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:

        def start(kind: str, path: Path, aside: str = "", cwd: Path | None = None) -> subprocess.Popen:
            command = [sys.executable, script, kind, path, aside]
            process = stack.enter_context(
                subprocess.Popen(command, env=environment, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            stack.callback(process.kill)
            assert process.stdout.readline() == b"has it\n"
            return process

        yield start


def end(process: subprocess.Popen) -> None:
    process.stdin.close()
    assert process.wait() == 0


def is_free(**what) -> bool:
    try:
        with claimed(**what):
            return True
    except KdslError:
        return False


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name != "holder.py")


def test_who_comes_second_is_told_who_was_first(holder, tmp_path):
    process = holder("folders", tmp_path / "run")
    with pytest.raises(KdslError) as refused, claimed(folders=[tmp_path / "run"]):
        raise AssertionError
    assert re.fullmatch(
        rf"{tmp_path}/run: `kdsl folders {tmp_path}/run` \(process {process.pid}, since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\) is writing there; wait until that has ended, or end it, and run again",
        str(refused.value),
    )


def test_what_was_claimed_is_free_afterwards_and_nothing_is_left(holder, tmp_path):
    end(holder("folders", tmp_path / "checkpoints/run"))
    end(holder("files", tmp_path / "data/ocr.jsonl"))
    assert left(tmp_path) == []
    assert is_free(folders=[tmp_path / "checkpoints/run"], files=[tmp_path / "data/ocr.jsonl"])
    assert left(tmp_path) == []


def test_a_folder_that_something_was_written_into_stays(tmp_path):
    with claimed(folders=[tmp_path / "a/run"]):
        (tmp_path / "a/run/mining.json").touch()
    assert left(tmp_path) == ["a", "mining.json", "run"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_process_that_is_ended_leaves_no_lock(holder, tmp_path, number):
    process = holder("folders", tmp_path / "run")
    process.send_signal(number)
    process.wait()
    assert is_free(folders=[tmp_path / "run"])
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("aside", ["forked", "workers"])
@pytest.mark.parametrize("kind", ["folders", "held"])
def test_processes_that_a_killed_one_started_do_not_keep_its_lock(holder, tmp_path, kind, aside):
    folder = tmp_path / "run"
    folder.mkdir()
    process = holder(kind, folder, aside)
    process.kill()
    process.wait()
    assert is_free(folders=[folder])
    with held(folder, wait=False):
        pass


def test_a_forked_child_that_ends_does_not_free_what_its_parent_has(holder, tmp_path):
    with claimed(folders=[tmp_path]):
        child = os.fork()
        if child == 0:
            os._exit(0 if not is_free(folders=[tmp_path]) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert (tmp_path / ".kdsl.lock").exists()


@pytest.fixture
def names(tmp_path):
    """One folder and one file by several names."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/p.jsonl").touch()
    (tmp_path / "to_run").symlink_to("run")
    (tmp_path / "other.jsonl").symlink_to("run/p.jsonl")
    return tmp_path


@pytest.mark.parametrize("name", ["run", "../{}/run/.", "to_run"])
def test_a_folder_is_one_by_all_its_names(holder, names, name):
    process = holder("folders", Path(name.format(names.name)), cwd=names)
    assert not is_free(folders=[names / "run"])
    end(process)
    assert is_free(folders=[names / "run"])


@pytest.mark.parametrize("name", ["run/p.jsonl", "to_run/p.jsonl", "other.jsonl", "run/../other.jsonl"])
def test_a_file_is_one_by_all_its_names(holder, names, name):
    holder("files", Path(name), cwd=names)
    assert not is_free(files=[names / "run/p.jsonl"])
    assert is_free(files=[names / "run/q.jsonl"])


def test_a_link_to_a_file_that_is_not_there_yet_is_that_file(holder, tmp_path):
    (tmp_path / "latest.jsonl").symlink_to("new/p.jsonl")
    holder("files", tmp_path / "latest.jsonl")
    assert not is_free(files=[tmp_path / "new/p.jsonl"])


def test_a_claim_within_a_claim_of_one_process_is_that_claim(holder, tmp_path):
    with claimed(folders=[tmp_path / "run"]):
        with claimed(folders=[tmp_path / "run"], files=[tmp_path / "p.jsonl"]):
            pass
        assert (tmp_path / "run/.kdsl.lock").exists()
    assert left(tmp_path) == []


def test_of_several_all_are_claimed_or_none(holder, tmp_path):
    holder("files", tmp_path / "z.jsonl")
    assert not is_free(folders=[tmp_path / "run"], files=[None, tmp_path / "z.jsonl"])
    assert is_free(folders=[tmp_path / "run"])
    assert left(tmp_path) == [".z.jsonl.lock"]


def test_what_is_no_plain_file_or_folder_is_not_claimed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with claimed(files=[Path("/dev/null"), Path("/dev/stdout"), tmp_path, tmp_path / "pipe", None]):
        assert left(tmp_path) == ["file", "pipe"]
    with claimed(folders=[tmp_path / "file", None]):
        assert left(tmp_path) == ["file", "pipe"]


def test_a_name_as_long_as_names_can_be_is_claimed(holder, tmp_path):
    path = tmp_path / ("名" * 85)
    holder("files", path)
    assert not is_free(files=[path])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/hostname")])
def test_a_lock_that_kdsl_did_not_make_is_left_alone(tmp_path, make):
    make(tmp_path / ".kdsl.lock")
    with pytest.raises(KdslError, match=r"\.kdsl\.lock: is no lock that KDSL made; delete it"):  # noqa: SIM117
        with claimed(folders=[tmp_path]):
            pass
    assert left(tmp_path) == [".kdsl.lock"]


def test_a_lock_with_nonsense_in_it_is_as_good_as_any(tmp_path):
    (tmp_path / ".kdsl.lock").write_bytes(b"\xff[" * 9)
    with claimed(folders=[tmp_path]):
        assert b'"process"' in (tmp_path / ".kdsl.lock").read_bytes()
    assert left(tmp_path) == []


def test_where_nothing_can_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KdslError, match=r"file/run: cannot be written \(Not a directory\); choose a folder that you"):  # noqa: SIM117
        with claimed(folders=[tmp_path / "file/run"]):
            pass


AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from kdsl.locks import claimed
os.umask(0o022)
os.setuid(int(sys.argv[2]))
with claimed(folders=[Path(sys.argv[1])]):
    print("has it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def shared_folder():
    """Open to all users, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be several users")
def test_users_of_one_folder_keep_each_other_out_and_a_killed_one_keeps_nobody_out(shared_folder):
    def start(user: int) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", AS_ANOTHER_USER, shared_folder, str(user)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    with start(12345) as one:
        assert one.stdout.readline() == b"has it\n"
        with start(54321) as two:
            two.stdin.close()
            assert b"is writing there" in two.stderr.read()
        one.kill()
    with start(54321) as two:
        assert two.stdout.readline() == b"has it\n"
        two.stdin.close()
        assert two.wait() == 0
    assert left(shared_folder) == []


COUNT = """
import sys
from pathlib import Path
from kdsl.errors import KdslError
from kdsl.locks import claimed
folder, counter, done = Path(sys.argv[1]), Path(sys.argv[2]), 0
while done < 100:
    try:
        with claimed(folders=[folder]):
            counter.write_text(str(int(counter.read_text()) + 1))
            done += 1
    except KdslError:
        pass
"""


def test_a_lock_that_is_made_and_deleted_all_the_time_keeps_others_out(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNT, tmp_path / "runs/run", counter]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "300"
    assert not list(tmp_path.rglob("*.lock"))


def test_what_is_held_alone_is_waited_for(holder, tmp_path):
    process = holder("held", tmp_path, "writes")
    process.stdin.close()
    with held(tmp_path, shared=True):
        assert (tmp_path / "written").exists()


def test_readers_share_and_a_writer_does_not(tmp_path):
    def refused(shared: bool) -> bool:
        child = os.fork()
        if child == 0:
            try:
                with held(tmp_path, shared, wait=False):
                    os._exit(0)
            except KdslError:
                os._exit(1)
        return os.waitpid(child, 0)[1] != 0

    with held(tmp_path, shared=True), held(tmp_path, shared=True):
        assert (refused(shared=True), refused(shared=False)) == (False, True)
    with held(tmp_path):
        with held(tmp_path), held(tmp_path, shared=True):
            pass
        assert refused(shared=True)
    assert not refused(shared=False)


def test_what_is_not_there_is_not_held(tmp_path):
    with held(tmp_path / "nothing"), held(tmp_path / "nothing"):
        pass
    assert left(tmp_path) == []


@pytest.mark.parametrize("why", ["this system has no locks", "this file system has no locks (No locks available)"])
def test_where_there_are_no_locks_work_goes_on_and_one_warning_says_so(tmp_path, monkeypatch, caplog, why):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks, "_told", set())
    if "file system" in why:
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(locks, "fcntl", None)
    for _ in range(2):
        with claimed(folders=[tmp_path]), held(tmp_path):
            pass
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: {why}: nothing keeps two commands from writing there at once; start one at a time"
    ]


def test_locks_are_none_of_the_contents_that_results_depend_on(tmp_path):
    (tmp_path / "shop.md").write_text("灯", "utf-8")
    before = contents([tmp_path], tmp_path)
    with claimed(folders=[tmp_path], files=[tmp_path / "ocr.jsonl"]):
        assert contents([tmp_path], tmp_path) == before

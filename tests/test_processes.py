"""Worker processes end with the work, however that ends."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from kdsl.processes import collecting_rarely, worker_pool

WORK = """
import sys, time
from kdsl.processes import worker_pool

if __name__ == "__main__":
    with worker_pool(2) as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
        print("ready", flush=True)
        time.sleep(600)
"""


def test_work_is_done_in_other_processes():
    with worker_pool(2) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


def test_a_script_needs_no_guard_against_running_again_in_its_workers(tmp_path):
    script = tmp_path / "work.py"
    script.write_text("""
from kdsl.processes import worker_pool
print("runs", flush=True)
with worker_pool(2) as pool:
    print(*pool.map(abs, [-1, 2]))
""")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("runs\n1 2\n", "")


def test_no_worker_outlives_a_killed_process(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(WORK)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    # The workers have the other end of this pipe too: it ends with the last of them.
    assert process.communicate(timeout=600)[0] == ""


def test_a_temporary_folder_goes_with_a_process_that_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "from kdsl.processes import temporary_until_end as made; print(made('x-'), flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.parent == tmp_path and folder.name.startswith("x-")
    (folder / "inside").mkdir()
    (folder / "inside" / "file").write_text("text")
    process.kill()
    process.communicate()
    until(lambda: not folder.exists())


@pytest.fixture
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("unfrozen")
def test_python_looks_for_garbage_less_often_meanwhile_and_as_before_afterwards():
    before = gc.get_threshold()
    with pytest.raises(KeyboardInterrupt), collecting_rarely():
        assert gc.get_threshold()[0] > 10 * before[0] and gc.get_threshold()[1:] == before[1:]
        assert gc.get_freeze_count() > 0
        raise KeyboardInterrupt
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


@pytest.mark.usefixtures("unfrozen")
def test_what_a_program_has_frozen_stays_frozen():
    gc.freeze()
    frozen = gc.get_freeze_count()
    with collecting_rarely():
        pass
    assert gc.get_freeze_count() == frozen

"""The files that `pi05 replay` writes are complete or absent, and never replace its inputs, also after a signal or an error."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest
from harness import PI05
from replay_runs import CHUNK, errors, messages


@pytest.fixture
def copy(bags, params, tmp_path):
    """Copies of a bag and its parameters: (directory, its file, parameter file)."""
    directory = tmp_path / "bag of ä"
    shutil.copytree(bags(), directory)
    own_params = tmp_path / "params.yaml"
    shutil.copy(params, own_params)
    (file,) = directory.glob("*.mcap")
    return directory, file, own_params


def digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


class TestInputsAreNeverOverwritten:
    @pytest.mark.parametrize("flag", ["--out", "--json", "--report"])
    def test_neither_the_bag_nor_its_directory_nor_a_link_nor_the_parameters(self, copy, replay, tmp_path, flag):
        directory, file, own_params = copy
        link = tmp_path / "link"
        link.symlink_to(file)
        before = digest(file), digest(directory / "metadata.yaml"), digest(own_params)
        for bag, target in [(file, file), (file, link), (link, file), (directory, file), (directory, directory / "metadata.yaml")]:
            outcome = replay(bag, flag, target)
            assert outcome.status == 2
            assert errors(outcome)[0].startswith(f"USAGE: Expected {flag} other than an input file, received {target}")
        assert replay(file, "--params", own_params, flag, own_params).status == 2
        assert before == (digest(file), digest(directory / "metadata.yaml"), digest(own_params))

    def test_two_outputs_cannot_be_the_same_file(self, bags, replay, tmp_path):
        outcome = replay(bags(), "--json", tmp_path / "a", "--report", tmp_path / "." / "a")
        assert outcome.status == 2 and "Expected --report other than --json" in errors(outcome)[0]
        assert not (tmp_path / "a").exists()


class TestFilesAreCompleteOrAbsent:
    @pytest.mark.parametrize("flag", ["--out", "--json", "--report"])
    def test_a_path_that_cannot_be_written_is_reported_before_anything_runs(self, bags, replay, tmp_path, flag):
        for target in (tmp_path / "none" / "file", tmp_path):
            outcome = replay(bags(), flag, target)
            assert (outcome.status, outcome.stdout) == (2, "")
            (line,) = outcome.stderr.splitlines()
            assert line.startswith(f"BAG_FILE: Expected to write {target}: ")
        assert replay(bags(), flag, "").status == 2
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("flag", ["--out", "--json", "--report"])
    def test_a_full_disk_is_reported_in_one_sentence_and_leaves_no_file(self, bags, replay, tmp_path, flag):
        others = {"--out": "a.mcap", "--json": "a.json", "--report": "a.html"}
        del others[flag]
        rest = [part for other, name in others.items() for part in (other, tmp_path / name)]
        outcome = replay(bags(), flag, "/dev/full", *rest)
        assert outcome.status == 2
        assert errors(outcome) == [
            "BAG_FILE: Expected to write /dev/full: ENOSPC: no space left on device"
        ]
        assert [path.name for path in tmp_path.iterdir() if ".new" in path.name] == []

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_a_signal_ends_it_and_leaves_no_file(self, bags, params, tmp_path, name):
        out = tmp_path / "out.mcap"
        out.write_text("an earlier one")
        files = ["--out", out, "--json", tmp_path / "a.json", "--report", tmp_path / "a.html"]
        command = [PI05, "replay", str(bags()), "--params", str(params), *map(str, files)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while len(list(tmp_path.iterdir())) < 4:
                assert process.poll() is None
            process.send_signal(getattr(signal, name))
            process.communicate()
        assert process.returncode == -getattr(signal, name)
        assert [path.name for path in tmp_path.iterdir()] == ["out.mcap"]
        assert out.read_text() == "an earlier one"

    def test_devices_and_pipes_are_written_to_and_not_replaced(self, bags, replay, tmp_path):
        pipe, received = tmp_path / "pipe", []
        os.mkfifo(pipe)
        reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
        reader.start()
        assert replay(bags(), "--out", pipe, "--report", "/dev/null").status == 0
        reader.join()
        assert pipe.is_fifo() and os.stat("/dev/null").st_rdev != 0
        (tmp_path / "read.mcap").write_bytes(received[0])
        assert CHUNK in {message.topic for message in messages(tmp_path / "read.mcap")}


class TestStdout:
    def test_that_is_closed_is_not_an_error(self, bags, params, tmp_path):
        read, write = os.pipe()
        os.close(read)
        command = [PI05, "replay", str(bags()), "--params", str(params), "--json", "-"]
        done = subprocess.run([*command, "--report", str(tmp_path / "a.html")], stdout=write, stderr=write)
        os.close(write)
        assert done.returncode == 0 and (tmp_path / "a.html").exists()

    def test_that_is_full_is_reported_in_one_sentence(self, bags, params):
        command = [PI05, "replay", str(bags()), "--params", str(params), "--json", "-"]
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last == "ENVIRONMENT: Expected to write to stdout: ENOSPC: no space left on device, write"

    def test_with_json_contains_nothing_else(self, bags, replay):
        outcome = replay(bags(), "--json", "-")
        assert json.loads(outcome.stdout)["chunks"] > 4

"""A full disk ends a run with exit 4, a read-only one with exit 3, and --resume can continue from what is left.

Small and read-only disks are mounted in a user namespace. If the system does not allow that, those tests are skipped, and
a limit on file sizes replaces the full disk.
"""

import hashlib
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

from program import PROGRAM, ROOT, ProgramTest, main, train_arguments, untimed_log, untimed_result

STEPS = 12
SETTINGS = {
    "train.steps": STEPS,
    "train.batch_size": 12,
    "train.checkpoint_every": 3,
    "train.evaluate_every": 4,
    "sds.warmup_steps": 3,
    "evaluate.benchmarks": "[winoground]",
    "evaluate.limit": 8,
}
# Bytes that the whole run leaves; it needs more on the way.
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
NO_MOUNT = 99
# Runs "$@" on a disk of that many bytes, and keeps a copy of the disk.
ON_A_SMALL_DISK = f"""
  mount -t tmpfs -o "size=$BYTES" none "$DISK" || exit {NO_MOUNT}
  "$@"; code=$?; cp -a "$DISK/." "$KEPT"; exit $code
"""
ON_A_READ_ONLY_DISK = (
    f'mount --bind "$DISK" "$DISK" && mount -o remount,bind,ro "$DISK" || exit {NO_MOUNT}; "$@"'
)


def in_namespace(script: str, command: list[str], **variables: object) -> subprocess.CompletedProcess:
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    return subprocess.run([*namespace, *command], capture_output=True, text=True, cwd=ROOT, env=environment)


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    script = f'mount -t tmpfs -o size=4k none "$DISK" || exit {NO_MOUNT}'
    return in_namespace(script, [], DISK=folder).returncode == 0


def files_of(out: Path) -> dict[str, int]:
    """Returns names and sizes without event files, because each start of a run writes a new one."""
    files = {path: path.stat().st_size for path in out.rglob("*") if path.is_file()}
    return {str(path.relative_to(out)): size for path, size in files.items() if "tfevents" not in path.name}


def digest_of(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


class FullDisk(ProgramTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.world = cls.draw_world(train=48)
        cls.disk = cls.folder / "disk"
        cls.disk.mkdir()
        cls.can_mount = can_mount(cls.disk)
        cls.whole = {}
        for name in ("train", "eval", "diffusion-score"):
            cls.whole[name] = cls.folder / "whole" / name
            subprocess.run(cls.command(name, cls.whole[name]), check=True, capture_output=True, cwd=ROOT)

    @classmethod
    def command(cls, name: str, out: Path, *more: str) -> list[str]:
        if name == "train":
            settings = SETTINGS | {"evaluate.data": cls.world}
            return [str(PROGRAM), *train_arguments(cls.world, out, settings, "--quiet", *more)]
        options = {"eval": ["--limit", 40, "--batch", 8], "diffusion-score": ["--limit", 40, "--samples", 4]}[name]
        where = ["winoground", "--data", cls.world / "winoground", "--out", out]
        return [str(PROGRAM), name, *map(str, [*where, *options, "--threads", 1, "--quiet", *more])]

    def check_failure(self, done: subprocess.CompletedProcess, code: int) -> None:
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def check_goes_on(self, name: str, out: Path) -> None:
        """Resumed with enough space, the run must end like a run that never lacked space."""
        done = subprocess.run(self.command(name, out, "--resume"), capture_output=True, text=True, cwd=ROOT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(untimed_result(out), untimed_result(self.whole[name]))
        self.assertEqual(set(files_of(out)), set(files_of(self.whole[name])))
        if name == "train":
            self.assertEqual(untimed_log(out), untimed_log(self.whole[name]))
            for file in ("tuned.safetensors", "best.safetensors", "evaluations.jsonl"):
                self.assertEqual((out / file).read_bytes(), (self.whole[name] / file).read_bytes(), file)

    def check_small_disks(self, name: str) -> None:
        if not self.can_mount:
            self.skipTest("no user namespace to mount a small disk in")
        needed = sum(files_of(self.whole[name]).values())
        for size in (4096, *(int(share * needed) for share in SHARES)):
            with self.subTest(bytes=size):
                kept = self.folder / f"{name}-{size}"
                kept.mkdir()
                command = self.command(name, self.disk / "run")
                done = in_namespace(ON_A_SMALL_DISK, command, BYTES=size, DISK=self.disk, KEPT=kept)
                self.check_failure(done, 4)
                self.assertRegex(done.stderr, "[Ff]ree some space")
                self.assertFalse([file for file in files_of(kept) if ".tmp-" in file])
                self.check_goes_on(name, kept / "run")

    def test_training(self):
        self.check_small_disks("train")

    def test_eval(self):
        self.check_small_disks("eval")

    def test_diffusion_score(self):
        self.check_small_disks("diffusion-score")

    def test_commands_that_write_one_thing(self):
        """These commands leave nothing at all, at any amount of space."""
        if not self.can_mount:
            self.skipTest("no user namespace to mount a small disk in")
        model = ["--clip", "shapes-clip", "--tuned", str(self.whole["train"] / "tuned.safetensors")]
        texts = self.folder / "texts.txt"
        texts.write_text("a red circle\n" * 40)
        commands = {
            "bundle": (["export", *model, "--format", "bundle"], (4096, 100_000, 500_000)),
            "weights.safetensors": (["export", *model, "--format", "safetensors"], (4096, 100_000)),
            "embeddings.safetensors": (["embed", *model, "--text", str(texts)], (4096,)),
            "world": (["synth", "--train", "8"], (4096, 1_000_000)),
        }
        for name, (command, sizes) in commands.items():
            for size in sizes:
                with self.subTest(name, bytes=size):
                    kept = self.folder / f"{name}-{size}"
                    kept.mkdir()
                    words = [str(PROGRAM), *command, "--quiet", "--out", str(self.disk / name)]
                    done = in_namespace(ON_A_SMALL_DISK, words, BYTES=size, DISK=self.disk, KEPT=kept)
                    self.check_failure(done, 4)
                    self.assertEqual(list(kept.iterdir()), [])

    def check_limited_files(self, name: str, limit: int) -> None:
        """Uses the limit of the shell's `ulimit -f`; its signal SIGXFSZ must not end the process."""

        def set_limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        out = self.folder / f"limited-{name}"
        command = self.command(name, out)
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, preexec_fn=set_limit)
        self.check_failure(done, 4)
        self.check_goes_on(name, out)

    def test_a_file_size_limit(self):
        for name in self.whole:
            with self.subTest(name):
                self.check_limited_files(name, max(files_of(self.whole[name]).values()) // 2)

    def test_results_that_cannot_be_printed(self):
        with open("/dev/full", "w") as full:
            for command in (self.command("eval", self.folder / "unprinted"),
                            [str(PROGRAM), "train", "--config", "quickstart.yaml", "--print-config"]):  # fmt: skip
                done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
                self.check_failure(done, 4)
                self.assertIn("standard output", done.stderr)
        self.assertEqual(untimed_result(self.folder / "unprinted"), untimed_result(self.whole["eval"]))

    def check_read_only(self, name: str, *more: str) -> None:
        done = in_namespace(ON_A_READ_ONLY_DISK, self.command(name, self.disk / name, *more), DISK=self.disk)
        self.check_failure(done, 3)
        self.assertIn(str(self.disk / name), done.stderr)

    def test_a_read_only_disk(self):
        if not self.can_mount:
            self.skipTest("no user namespace to mount a read-only disk in")
        for name in self.whole:
            with self.subTest(name):
                self.check_read_only(name)
                self.assertEqual(list(self.disk.iterdir()), [])
                shutil.copytree(self.whole[name], self.disk / name)
                (self.disk / name / "result.json").unlink()
                before = digest_of(self.disk)
                self.check_read_only(name, "--resume")
                self.assertEqual(digest_of(self.disk), before)
                shutil.rmtree(self.disk / name)


if __name__ == "__main__":
    main()
